"""What turns swap on at boot, on a real host: each way is found, and its remedy is one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from docker import DockerClient

from kubenode.facts.swap import Swap, SwapShape
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

_UNITS = "/etc/systemd/system"
_FSTAB = "echo /swapfile none swap sw 0 0 >>/etc/fstab"
_SWAPON = "/sbin/swapon /swapfile"


def _service(name: str, start: str, *, enable: bool = True) -> str:
    lines = f"[Service]\\nExecStart={start}\\n[Install]\\nWantedBy=multi-user.target\\n"
    script = f'printf "{lines}" >{_UNITS}/{name}'
    return f"{script}; systemctl enable -q {name}" if enable else script


@pytest.fixture(scope="module")
def host(docker_client: DockerClient, login_key: SshKey) -> Iterator[Target]:
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start("trixie")
        target.sh(f"cp -a {_UNITS} /root/units; cp /etc/fstab /root/fstab")
        yield target


@pytest.fixture
def target(host: Target) -> Target:
    """The host as it was started."""
    host.sh(
        f"rm -r {_UNITS}; cp -a /root/units {_UNITS}; cp /root/fstab /etc/fstab; "
        "rm -rf /etc/rc.local /etc/waagent.conf /etc/dphys-swapfile /etc/cron.d/swap "
        "/usr/local/sbin/* /usr/bin/cloud-init /etc/cloud /usr/lib/systemd/system/x-* "
        "/usr/local/lib/systemd /run/systemd/system/x.swap; systemctl daemon-reload"
    )
    return host


def swap(target: Target) -> SwapShape:
    fact = Swap()
    return fact.process(target.sh(fact.command()).splitlines())


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (_FSTAB, "/swapfile none swap sw 0 0"),
        (_service("dphys-swapfile.service", "/sbin/dphys-swapfile swapon"), "dphys-swapfile"),
        (_service("swapspace.service", "/usr/sbin/swapspace"), "swapspace.service"),
        (_service("zramswap.service", "/usr/sbin/zramswap start"), "zramswap.service"),
        (_service("my-memory.service", _SWAPON), f"ExecStart={_SWAPON}"),
        (_service("my.service", f"/bin/sh -c 'true; {_SWAPON}'"), "swapon /swapfile"),
        (_service("m@.service", f"{_SWAPON}%i", enable=False)
         + "; systemctl enable -q m@1.service", "swapon"),
        (_service("my.service", "/bin/true") + f"; mkdir {_UNITS}/my.service.d; "
         f"printf '[Service]\\nExecStartPost={_SWAPON}\\n' >{_UNITS}/my.service.d/x.conf",
         "swapon"),
        ("printf '#!/bin/sh\\nset -e\\nswapon /swapfile\\n' >/usr/local/sbin/more-memory; "
         "chmod +x /usr/local/sbin/more-memory; "
         + _service("my.service", "-/usr/local/sbin/more-memory"), "swapon /swapfile"),
        (_service("my.service", _SWAPON, enable=False)
         + f"; printf '[Timer]\\nOnBootSec=1\\n[Install]\\nWantedBy=timers.target\\n' "
         f">{_UNITS}/my.timer; systemctl enable -q my.timer", "swapon"),
        ("printf 'ResourceDisk.Format=y\\nResourceDisk.EnableSwap=y\\n"
         "ResourceDisk.SwapSizeMB=2048\\n' >/etc/waagent.conf; "
         + _service("walinuxagent.service", "/usr/sbin/waagent -daemon"), "EnableSwap"),
        ("printf '#!/bin/sh\\nswapon -a\\n' >/etc/rc.local; chmod +x /etc/rc.local", "swapon -a"),
        ("mkdir -p /etc/cron.d; echo '@reboot root swapon /swapfile' >/etc/cron.d/swap", "@reboot"),
        ("printf '#!/bin/sh\\n' >/usr/bin/cloud-init; chmod +x /usr/bin/cloud-init; "
         "mkdir -p /etc/cloud/cloud.cfg.d; printf 'swap:\\n  filename: /swap.img\\n  size: 2G\\n' "
         ">/etc/cloud/cloud.cfg.d/90-swap.cfg", "swap"),
        (f"printf '[Swap]\\nWhat=/x\\n[Install]\\nWantedBy=swap.target\\n' >{_UNITS}/x.swap; "
         "systemctl enable -q x.swap", "x.swap"),
    ],
)  # fmt: skip
def test_what_turns_swap_on_is_found(target: Target, script: str, found: str) -> None:
    target.sh(script)
    boot = swap(target)["boot"]
    assert boot is not None
    assert [source["what"] for source in boot if found in source["what"]], boot
    assert len(boot) == 1, boot


@pytest.mark.parametrize(
    "script",
    [
        ":",
        _service("my.service", _SWAPON, enable=False),
        _service("my.service", _SWAPON) + f"; rm {_UNITS}/my.service; systemctl mask -q my.service",
        _service("my.service", "/sbin/swapoff -a"),
        _service("my.service", "/bin/true # swapon").replace("# swapon", ""),
        "echo '# swapon /swapfile' >/etc/rc.local; chmod +x /etc/rc.local",
        "echo 'swapon /swapfile' >/etc/rc.local",
        f"{_FSTAB}; systemctl mask -q swapfile.swap",
        f"{_FSTAB}; systemctl mask -q swap.target",
        f"{_FSTAB}; : >{_UNITS}/swapfile.swap",
        f"printf '[Swap]\\nWhat=/x\\n[Install]\\nWantedBy=swap.target\\n' >{_UNITS}/x.swap; "
        f"systemctl enable -q x.swap; rm {_UNITS}/x.swap; systemctl mask -q x.swap",
        "printf 'CONF_SWAPSIZE=0\\n' >/etc/dphys-swapfile; "
        + _service("dphys-swapfile.service", "/sbin/dphys-swapfile setup"),
    ],
)  # fmt: skip
def test_what_does_not_turn_it_on_is_no_finding(target: Target, script: str) -> None:
    target.sh(script)
    found = swap(target)
    assert (found["boot"], found["undecided"], found["unreadable"]) == ([], [], [])


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo ResourceDisk.EnableSwap=y >/etc/waagent.conf", "/etc/waagent.conf"),
        (_service("my.service", _SWAPON, enable=False)
         + f"; printf '[Unit]\\nWants=my.service\\n[Service]\\nExecStart=/bin/true\\n' "
         f">{_UNITS}/x-other.service", "my.service calls swapon"),
        ("printf '#!/bin/sh\\n' >/usr/lib/systemd/system-generators/my-swap-generator; chmod +x "
         "/usr/lib/systemd/system-generators/my-swap-generator", "my-swap-generator"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_said(target: Target, script: str, why: str) -> None:
    try:
        target.sh(script)
        found = swap(target)
    finally:
        target.sh("rm -f /usr/lib/systemd/system-generators/my-swap-generator")
    assert found["boot"] is None
    assert why in found["undecided"][0]


@pytest.mark.parametrize(
    ("mask", "starts"), [(":", True), ("swapfile.swap", False), ("swap.target", False)]
)
def test_systemd_does_not_start_what_is_masked(target: Target, mask: str, starts: bool) -> None:
    """The unit that the generator makes of an fstab line, in the generators' own directory."""
    target.sh(
        "mkdir -p /run/systemd/system/swap.target.requires; "
        "printf '[Swap]\\nWhat=/swapfile\\n' >/run/systemd/system/swapfile.swap; "
        "ln -sf ../swapfile.swap /run/systemd/system/swap.target.requires/swapfile.swap; "
        f"{_FSTAB}"
        + (f"; systemctl mask -q {mask}" if mask != ":" else "; systemctl daemon-reload")
    )
    try:
        wanted = target.sh("systemctl show -p LoadState --value swap.target swapfile.swap").split()
        assert (wanted == ["loaded", "loaded"]) == starts
        assert bool(swap(target)["boot"]) == starts
    finally:
        target.sh("rm -rf /run/systemd/system/swap*; systemctl daemon-reload")
