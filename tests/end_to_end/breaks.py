"""Ways to break a prepared node, each with the one finding it must give and what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

CONFIG = "/etc/containerd/config.toml"
KUBELET = "/var/lib/kubelet/config.yaml"

DEPLOY = "deploy.py"

_CRI = 'plugins."io.containerd.grpc.v1.cri"'
_RESTART = "systemctl reset-failed containerd; systemctl restart containerd"
# what has the system's clock at the time of the daemon's start is not newer than it
_LATER = "sleep 0.1"
_UNSAVE = f"cp -p {CONFIG}.saved {CONFIG}; {_RESTART}"


@dataclass(frozen=True)
class Break:
    """One break of a prepared node."""

    name: str
    script: str
    """Breaks the node, as root."""
    finding: str
    """The check that finds it, and the only one."""
    evidence: str
    """What the finding must say, in what was found, its evidence or its remedy."""
    state: Literal["warn", "fail"] = "fail"
    mend: str = DEPLOY
    """``deploy.py``, a deploy of one operation, or a script: what the finding's remedy says."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Settings for the deploy that mends it."""
    undo: str = ""
    """Brings the node back where it was, after the remedy was seen to work."""
    options: tuple[str, ...] = ()
    """Of the audit."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Host data while it is broken and mended."""


KERNEL = (
    Break(
        "a later sysctl file",
        "echo net.ipv4.ip_forward=0 >/etc/sysctl.d/zz-cis.conf",
        "sysctl.ip-forward.boot",
        "/etc/sysctl.d/zz-cis.conf:1",
        data={"kubenode_sysctls_override": "true"},
        undo="rm /etc/sysctl.d/zz-cis.conf*",
    ),
    Break(
        "a masked sysctl file",
        "mv /etc/sysctl.d/k8s.conf /usr/lib/sysctl.d/k8s.conf; "
        "ln -s /dev/null /etc/sysctl.d/k8s.conf",
        "sysctl.ip-forward.boot",
        "/usr/lib/sysctl.d/k8s.conf",
        mend="rm /etc/sysctl.d/k8s.conf",
        undo="mv /usr/lib/sysctl.d/k8s.conf /etc/sysctl.d/k8s.conf",
    ),
    Break(
        "no sysctl file",
        "rm /etc/sysctl.d/k8s.conf",
        "sysctl.ip-forward.boot",
        "lost at reboot",
    ),
    Break(
        "a sysctl changed by hand",
        "sysctl -qw net.ipv4.ip_forward=0",
        "sysctl.ip-forward.live",
        "set at boot, not live",
    ),
    Break(
        "a bridge sysctl changed by hand",
        "sysctl -qw net.bridge.bridge-nf-call-iptables=0",
        "sysctl.bridge-nf-call-iptables.live",
        "set at boot, not live",
    ),
    Break(
        "a later sysctl file of a package",
        "echo net.bridge.bridge-nf-call-ip6tables=0 >/usr/lib/sysctl.d/zz-vendor.conf",
        "sysctl.bridge-nf-call-ip6tables.boot",
        "/usr/lib/sysctl.d/zz-vendor.conf:1",
        mend="rm /usr/lib/sysctl.d/zz-vendor.conf",
    ),
    Break(
        "swap in fstab only",
        "echo /swapfile none swap sw 0 0 >>/etc/fstab",
        "swap.boot",
        "/etc/fstab",
        mend="sed -i '/swapfile/d' /etc/fstab",
    ),
    Break(
        "a swap unit that is enabled",
        "printf '[Swap]\\nWhat=/swapfile\\n[Install]\\nWantedBy=swap.target\\n' "
        ">/etc/systemd/system/swapfile.swap; mkdir -p /etc/systemd/system/swap.target.wants; "
        "ln -s ../swapfile.swap /etc/systemd/system/swap.target.wants/swapfile.swap",
        "swap.boot",
        "swapfile.swap",
        mend="systemctl disable -q swapfile.swap; rm -f /etc/systemd/system/swapfile.swap",
    ),
)

CONTAINERD = (
    Break(
        "the cgroupfs driver",
        f"sed -i 's/SystemdCgroup = true/SystemdCgroup = false/' {CONFIG}; {_RESTART}",
        "cgroup-driver.wanted",
        CONFIG,
    ),
    Break(
        "the kubelet uses cgroupfs",
        f"mkdir -p /var/lib/kubelet; echo 'cgroupDriver: cgroupfs' >{KUBELET}",
        "cgroup-driver.agreement",
        f'"file": "{KUBELET}", "line": 1',
        mend=f"echo 'cgroupDriver: systemd' >{KUBELET}",
        undo="rm -r /var/lib/kubelet",
    ),
    Break(
        "Docker uses cgroupfs",
        "mkdir -p /etc/docker; "
        """echo '{"exec-opts": ["native.cgroupdriver=cgroupfs"]}' >/etc/docker/daemon.json""",
        "cgroup-driver.agreement",
        '"file": "/etc/docker/daemon.json", "line": 1',
        mend="rm -r /etc/docker",
    ),
    Break(
        "CRI disabled, as in Docker's package",
        # a file of version 2 must name the plugin whole
        f"sed -i '1i disabled_plugins = [\"io.containerd.grpc.v1.cri\"]' {CONFIG}; {_RESTART}",
        "containerd.cri-enabled",
        "io.containerd.grpc.v1.cri",
    ),
    Break(
        "containerd stopped",
        "systemctl stop containerd",
        "containerd.cri-serving",
        "containerd",
    ),
    Break(
        "containerd not enabled",
        "systemctl disable -q containerd",
        "containerd.enabled",
        "containerd",
    ),
    Break(
        "the package is not held",
        "apt-mark -qq unhold containerd",
        "containerd.held",
        "held",
        state="warn",
    ),
    Break(
        "edited but not restarted",
        f"{_LATER}; echo '# an edit' >>{CONFIG}",
        "containerd.config-applied",
        CONFIG,
        undo=f"sed -i '/^# an edit/d' {CONFIG}; {_RESTART}",
    ),
    Break(
        "broken TOML",
        f"cp -p {CONFIG} {CONFIG}.saved; echo 'oops = = 1' >>{CONFIG}",
        "containerd.config-readable",
        CONFIG,
        mend=f"{_UNSAVE}; rm {CONFIG}.saved",
    ),
    Break(
        "a partial runtime table",
        f"cp -p {CONFIG} {CONFIG}.saved; printf '%s\\n' "
        f"'[{_CRI}.containerd.runtimes.nvidia.options]' "
        f"'SystemdCgroup = true' >>{CONFIG}; {_RESTART}",
        "containerd.runtime-table",
        "nvidia",
        mend=f"{_UNSAVE}; rm {CONFIG}.saved",
    ),
    Break(
        "a pause image from a registry that is gone",
        f"cp -p {CONFIG} {CONFIG}.saved; "
        f"sed -i 's|^ *\\[{_CRI}\\] *$|&\\nsandbox_image = \"k8s.gcr.io/pause:3.6\"|' {CONFIG}; "
        f"grep -q k8s.gcr.io {CONFIG} && {_RESTART}",
        "containerd.pause-image",
        "k8s.gcr.io",
        state="warn",
        data={"kubenode_pause_image": "registry.k8s.io/pause:3.8"},
        undo=f"{_UNSAVE}; rm {CONFIG}.saved",
    ),
    Break(
        "a drop-in of the unit that systemd has not read",
        f"{_LATER}; mkdir -p /etc/systemd/system/containerd.service.d; sleep 1; "
        "printf '[Service]\\nEnvironment=A=b\\n' "
        ">/etc/systemd/system/containerd.service.d/50-site.conf",
        "containerd.daemon-reload",
        "daemon-reload",
        state="warn",
        undo="rm -r /etc/systemd/system/containerd.service.d; systemctl daemon-reload",
    ),
    Break(
        "few open files",
        "mkdir -p /etc/systemd/system/containerd.service.d; "
        "printf '[Service]\\nLimitNOFILE=1024\\n' "
        ">/etc/systemd/system/containerd.service.d/50-nofile.conf; systemctl daemon-reload",
        "containerd.nofile",
        "1024",
        state="warn",
        mend="rm -r /etc/systemd/system/containerd.service.d; systemctl daemon-reload",
    ),
    Break(
        "no crictl.yaml",
        "rm /etc/crictl.yaml",
        "crictl.config",
        "/etc/crictl.yaml",
        state="warn",
    ),
    Break(
        "crictl.yaml points at dockershim",
        "sed -i 's|unix://.*|unix:///var/run/dockershim.sock|' /etc/crictl.yaml",
        "crictl.config",
        "dockershim.sock",
        state="warn",
    ),
    Break(
        "containerd too old for the release",
        ":",
        "kubernetes.containerd",
        "1.36",
        options=("--for", "1.36"),
        mend="",
    ),
    Break(
        "containerd removed",
        "apt-get purge -qq -y --allow-change-held-packages containerd >/dev/null; "
        "rm -rf /etc/containerd",
        "containerd.installed",
        "not installed",
    ),
)

MACHINE = (
    Break(
        "kubelet's port is taken",
        "printf '[Socket]\\nListenStream=10250\\nAccept=yes\\n' >/run/systemd/system/taken.socket; "
        "printf '[Service]\\nExecStart=/bin/true\\n' >'/run/systemd/system/taken@.service'; "
        "systemctl daemon-reload; systemctl start taken.socket",
        "network.port-10250",
        "10250",
        mend="systemctl stop taken.socket; rm /run/systemd/system/taken*; systemctl daemon-reload",
    ),
    Break(
        "a host name that no node can have",
        # sethostname(2): hostname(1) refuses such a name
        "cat /etc/hostname >/root/name; perl -e '$_ = \"Bad_Name\"; syscall(170, $_, 8)'; "
        "cp -p /etc/hosts /root/hosts; echo '127.0.1.1 Bad_Name' >>/etc/hosts; "
        "echo Bad_Name >/etc/hostname",
        "network.hostname",
        "Bad_Name",
        mend="cat /root/name >/etc/hostname; cat /root/hosts >/etc/hosts; "
        "perl -e 'chomp($_ = <>); syscall(170, $_, length)' /root/name",
    ),
    Break(
        "a host name that is another one after the boot",
        "cat /etc/hostname >/root/name; echo other-name >/etc/hostname",
        "network.hostname",
        "other-name",
        state="warn",
        mend="cat /root/name >/etc/hostname",
    ),
    Break(
        "a proxy for everything",
        "touch /etc/environment; cp -p /etc/environment /root/environment; "
        "echo 'HTTPS_PROXY=http://user:secret@192.0.2.1:3128' >>/etc/environment",
        "network.proxy",
        "/etc/environment",
        state="warn",
        mend="cp -p /root/environment /etc/environment",
    ),
    Break(
        "containers' file system forbids programs",
        "mount -o remount,bind,noexec /var/lib/containerd",
        "machine.mount-options",
        "noexec",
        mend="mount -o remount,bind,exec /var/lib/containerd",
    ),
    Break(
        "a reboot is pending",
        "touch /run/reboot-required",
        "machine.reboot-required",
        "reboot",
        state="warn",
        mend="rm /run/reboot-required",
    ),
    Break(
        "a firewall",
        "printf '[Service]\\nExecStart=/bin/sleep infinity\\n' "
        ">/run/systemd/system/firewalld.service; "
        "systemctl daemon-reload; systemctl start firewalld",
        "network.firewall",
        "firewalld",
        state="warn",
        mend="systemctl stop firewalld; rm /run/systemd/system/firewalld.service; "
        "systemctl daemon-reload",
    ),
    Break(
        "a kernel without what kubeadm requires",
        "zcat /proc/config.gz | sed 's/^CONFIG_MEMCG=y/# CONFIG_MEMCG is not set/' | "
        "gzip >/root/config.gz; mount --bind /root/config.gz /proc/config.gz",
        "kernel.config.required",
        "CONFIG_MEMCG",
        mend="umount /proc/config.gz",
    ),
)

_RELEASE = "$(uname -r)"
_IPVS = "ip_vs ip_vs_rr ip_vs_wrr ip_vs_sh nf_conntrack"

MODULAR_KERNEL = f"""
# the targets' kernel has no modules: make it look like one that has, with the ipvs modules loaded
for name in {_IPVS}; do
  mkdir -p /root/module/$name; echo live >/root/module/$name/initstate
done
cp -r /sys/module/. /root/module/ 2>/dev/null || :
mount --bind /root/module /sys/module
mkdir -p /lib/modules/{_RELEASE}; : >/lib/modules/{_RELEASE}/modules.builtin
for name in {_IPVS}; do echo "kernel/$name.ko:"; done >/lib/modules/{_RELEASE}/modules.dep
zcat /proc/config.gz | sed 's/^# CONFIG_MODULES is not set/CONFIG_MODULES=y/; /CONFIG_IP_VS/d
/CONFIG_NF_CONNTRACK/d' | gzip >/root/modular.gz
mount --bind /root/modular.gz /proc/config.gz
printf '%s\\n' {_IPVS} >/etc/modules-load.d/ipvs.conf
"""

_OPERATION = "from kubenode.operations import kernel\n"
_IPV6 = "net.ipv6.conf.default.forwarding"
_ROUTE = "net.ipv4.conf.all.log_martians"

OPERATIONS = (
    Break(
        "IPv6 that is not forwarded after the boot",
        f"sysctl -qw {_IPV6}=1; rm -f /etc/sysctl.d/90-ipv6.conf",
        "sysctl.ipv6-forwarding.boot",
        "lost at reboot",
        mend=f"{_OPERATION}kernel.sysctls(values={{'{_IPV6}': 1}}, "
        "persist_file='/etc/sysctl.d/90-ipv6.conf')",
        undo=f"rm /etc/sysctl.d/90-ipv6.conf; sysctl -qw {_IPV6}=0",
        options=("--profile", "bridge-cni", "--profile", "ipv6"),
    ),
    Break(
        "IPv6 that is not forwarded now",
        f"sysctl -qw {_IPV6}=0; echo {_IPV6}=1 >/etc/sysctl.d/90-ipv6.conf",
        "sysctl.ipv6-forwarding.live",
        "set at boot, not live",
        mend=f"{_OPERATION}kernel.sysctls(values={{'{_IPV6}': 1}}, "
        "persist_file='/etc/sysctl.d/90-ipv6.conf')",
        undo=f"rm /etc/sysctl.d/90-ipv6.conf; sysctl -qw {_IPV6}=0",
        options=("--profile", "bridge-cni", "--profile", "ipv6"),
    ),
    Break(
        "a sysctl of the settings that is lost at reboot",
        f"sysctl -qw {_ROUTE}=1",
        "sysctl.settings.boot",
        "lost at reboot",
        mend=DEPLOY,
        undo=f"sed -i /{_ROUTE}/d /etc/sysctl.d/k8s.conf; sysctl -qw {_ROUTE}=0",
        settings={"kubenode_sysctls": {"net.ipv4.ip_forward": 1, _ROUTE: 1}},
    ),
    Break(
        "a sysctl of the settings that is not applied",
        f"echo {_ROUTE}=1 >/etc/sysctl.d/90-site.conf",
        "sysctl.settings.live",
        "set at boot, not live",
        mend=DEPLOY,
        undo=f"rm /etc/sysctl.d/90-site.conf; sed -i /{_ROUTE}/d /etc/sysctl.d/k8s.conf; "
        f"sysctl -qw {_ROUTE}=0",
        settings={"kubenode_sysctls": {"net.ipv4.ip_forward": 1, _ROUTE: 1}},
    ),
)

_IPVS_PROFILE = ("--profile", "bridge-cni", "--profile", "ipvs")

MODULES = (
    Break(
        "a module not persisted",
        "rm /etc/modules-load.d/ipvs.conf",
        "module.ipvs.boot",
        "loaded, lost at reboot",
        data={"kubenode_modules": "overlay,br_netfilter," + _IPVS.replace(" ", ",")},
        undo="sed -i '/ip_vs/d; /nf_conntrack/d' /etc/modules-load.d/k8s.conf; "
        f"printf '%s\\n' {_IPVS} >/etc/modules-load.d/ipvs.conf",
        options=_IPVS_PROFILE,
    ),
    Break(
        "a module file that is masked",
        "mkdir -p /usr/lib/modules-load.d; "
        "mv /etc/modules-load.d/ipvs.conf /usr/lib/modules-load.d/ipvs.conf; "
        "ln -s /dev/null /etc/modules-load.d/ipvs.conf",
        "module.ipvs.boot",
        "loaded, lost at reboot",
        mend="rm /etc/modules-load.d/ipvs.conf",
        options=_IPVS_PROFILE,
    ),
    Break(
        "a module blacklisted",
        "echo 'blacklist ip_vs_rr' >/etc/modprobe.d/cis.conf",
        "module.ipvs.boot",
        "/etc/modprobe.d/cis.conf",
        mend="rm /etc/modprobe.d/cis.conf",
        options=_IPVS_PROFILE,
    ),
    Break(
        "a module that install forbids",
        "echo 'install ip_vs_sh /bin/false' >/etc/modprobe.d/cis.conf",
        "module.ipvs.boot",
        "install ip_vs_sh /bin/false",
        mend="rm /etc/modprobe.d/cis.conf",
        options=_IPVS_PROFILE,
    ),
    Break(
        "a module set at boot, not loaded",
        "rm /root/module/ip_vs_wrr/initstate; rmdir /root/module/ip_vs_wrr",
        "module.ipvs.live",
        "at boot only",
        mend="mkdir /root/module/ip_vs_wrr; echo live >/root/module/ip_vs_wrr/initstate",
        options=_IPVS_PROFILE,
    ),
    Break(
        "a kernel whose modules are gone from disk",
        f"mv /lib/modules/{_RELEASE} /lib/modules/99.0.0",
        "module.kernel-on-disk",
        "99.0.0",
        state="warn",
        mend=f"mv /lib/modules/99.0.0 /lib/modules/{_RELEASE}",
        options=_IPVS_PROFILE,
    ),
)

BREAKS = KERNEL + CONTAINERD + MACHINE + OPERATIONS
