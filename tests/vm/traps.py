"""What a next boot makes of a machine against what one may expect: one trap for each rule."""

from __future__ import annotations

from collections.abc import Mapping

from tests.vm.machine import Machine

DEPLOYED = (
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.ipv4.ip_forward",
)

_FILES = {
    # the later file wins, not the later edit
    "/etc/sysctl.d/zz-trap.conf": "vm.swappiness = 22\nvm.swappiness 99\n-vm.no-such-key = 1\n",
    "/etc/sysctl.d/10-trap.conf": "vm.swappiness = 11\nkernel/panic = 9\n",
    "/usr/lib/sysctl.d/50-trap-masked.conf": "vm.dirty_ratio = 33\n",
    "/etc/sysctl.conf": "vm.dirty_background_ratio = 7\n",
    "/run/sysctl.d/50-trap.conf": "vm.overcommit_ratio = 66\n",
    # a key that is named beats a glob that comes later, and an exclusion keeps it out
    "/etc/sysctl.d/20-trap.conf": "net.ipv4.conf.eth0.tag = 7\n",
    "/etc/sysctl.d/30-trap.conf": "net.ipv4.conf.*.tag = 5\n-net.ipv4.conf.lo.tag\n",
    # a key that exists once its module is in
    "/etc/sysctl.d/40-trap.conf": "net.netfilter.nf_conntrack_max = 77777\n",
    "/etc/modules-load.d/trap.conf": "ip_vs\nvxlan\nnf-conntrack\n",
    "/etc/modprobe.d/trap.conf": "blacklist ip_vs\ninstall vxlan /bin/false\n",
    "/run/modules-load.d/trap-run.conf": "dummy\n",
    "/usr/lib/modules-load.d/trap-masked.conf": "ipip\n",
    "/etc/modules-load.d/trap-without-suffix": "macvlan\n",
    # which a link in modules-load.d leads to
    "/etc/modules": "wireguard\n",
}
_SCRIPT = """
ln -s /dev/null /etc/sysctl.d/50-trap-masked.conf
ln -s /dev/null /etc/modules-load.d/trap-masked.conf
# live, so that a prediction that only repeats what is now would be wrong
modprobe -a geneve dummy ip_vs ipip nf_conntrack
sysctl -qw vm.swappiness=44 vm.dirty_ratio=44 vm.dirty_background_ratio=44 vm.overcommit_ratio=66 \
  kernel.panic=44 net.netfilter.nf_conntrack_max=44444 net.ipv4.ip_forward=0
for tag in /proc/sys/net/ipv4/conf/*/tag; do echo 44 >"$tag"; done
"""

_SYSCTLS: Mapping[str, str | None] = {
    **dict.fromkeys(DEPLOYED, "1"),
    "vm.swappiness": "22",
    "kernel.panic": "9",
    "vm.dirty_ratio": None,
    "vm.overcommit_ratio": None,
    "net.ipv4.conf.all.tag": "5",
    "net.ipv4.conf.default.tag": "5",
    "net.ipv4.conf.eth0.tag": "7",
    "net.ipv4.conf.lo.tag": None,
    "net.netfilter.nf_conntrack_max": "77777",
}

MODULES: Mapping[str, bool] = {
    "overlay": True,
    "br_netfilter": True,
    "nf_conntrack": True,
    "wireguard": True,
    "ip_vs": False,
    "vxlan": False,
    "dummy": False,
    "geneve": False,
    "ipip": False,
    "macvlan": False,
}
"""Whether the next boot loads it."""


def sysctls(suite: str) -> dict[str, str | None]:
    """The value that the next boot sets by key; None where it leaves the kernel's own."""
    # Debian 12 has a link to /etc/sysctl.conf in /etc/sysctl.d, Debian 13 has none
    return {**_SYSCTLS, "vm.dirty_background_ratio": "7" if suite == "bookworm" else None}


def lay(machine: Machine) -> None:
    """Put the traps on a node."""
    for path, text in _FILES.items():
        machine.write(path, text)
    machine.sh(_SCRIPT)


def live_sysctls(machine: Machine) -> dict[str, str]:
    """What the kernel has now, of the keys that it has."""
    script = "\n".join(
        f'if [ -e "$f" ]; then echo {key} $(cat "$f"); fi'.replace(
            "$f", f"/proc/sys/{key.replace('.', '/')}"
        )
        for key in sysctls(machine.suite)
    )
    lines = machine.sh(script).splitlines()
    return {key: value for key, _, value in (line.partition(" ") for line in lines)}


def live_modules(machine: Machine) -> set[str]:
    """The modules that the kernel has loaded."""
    return {line.split()[0] for line in machine.read("/proc/modules").splitlines()}
