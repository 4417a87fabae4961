"""Ways to break a prepared node, each with the one finding it must give and what fixes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

CONFIG = "/etc/containerd/config.toml"
KUBELET = "/var/lib/kubelet/config.yaml"

DEPLOY = "deploy.py"

REMEDY = "the remedy's call"
"""The first call of an operation in the finding's remedy, as it is printed."""

_CRI = 'plugins."io.containerd.grpc.v1.cri"'
_RESTART = "systemctl reset-failed containerd; systemctl restart containerd"
# what has the system's clock at the time of the daemon's start is not newer than it
_LATER = "sleep 0.1"
_UNSAVE = f"cp -p {CONFIG}.saved {CONFIG}; {_RESTART}"

_DROP_IN = "/etc/containerd/conf.d/site.toml"


_PLUGINS = "/opt/cni/bin"


def _import(version: int) -> str:
    """Make the main file import a drop-in of this configuration version."""
    return (
        f"sed -i '1i imports = [\"/etc/containerd/conf.d/*.toml\"]' {CONFIG}; "
        f"mkdir -p /etc/containerd/conf.d; printf 'version = {version}\\n' >{_DROP_IN}"
    )


_REGISTRIES = "/etc/containerd/certs.d"
_MIRROR = '[host."https://mirror.example"]'
_REGISTRY_HOSTS = (
    "from kubenode.operations import containerd\n"
    'hosts = {"https://mirror.example": {"capabilities": ["pull", "resolve"]}}\n'
    'containerd.registry_hosts(registries={"docker.io": {"host": hosts}})\n'
)
_UNREGISTER = f"{_UNSAVE}; rm -rf {CONFIG}.saved {_REGISTRIES}"


def _registry(*lines: str) -> str:
    """Set config_path, and write docker.io's hosts.toml there if there is a line for it."""
    script = (
        f"cp -p {CONFIG} {CONFIG}.saved; printf '%s\\n' '[{_CRI}.registry]' "
        f"'config_path = \"{_REGISTRIES}\"' >>{CONFIG}; {_RESTART}"
    )
    if not lines:
        return script
    text = " ".join(f"'{line}'" for line in lines)
    folder = f"{_REGISTRIES}/docker.io"
    return f"{script}; mkdir -p {folder}; printf '%s\\n' {text} >{folder}/hosts.toml"


def _kubelet_says(*lines: str) -> str:
    quoted = " ".join(f"'{line}'" for line in ("cgroupDriver: systemd", *lines))
    return f"mkdir -p /var/lib/kubelet; printf '%s\\n' {quoted} >{KUBELET}"


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
    fix: str = DEPLOY
    """``deploy.py``, :data:`REMEDY`, a deploy of one operation, or a script: what the finding's
    remedy says."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Settings for the deploy that fixes it."""
    undo: str = ""
    """Brings the node back where it was, after the remedy was seen to work."""
    options: tuple[str, ...] = ()
    """Of the audit."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Host data while it is broken and fixed."""


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
        fix="rm /etc/sysctl.d/k8s.conf",
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
        data={"kubenode_sysctls_override": "true"},
        undo="rm /usr/lib/sysctl.d/zz-vendor.conf*",
    ),
    Break(
        "the other bridge sysctl changed by hand",
        "sysctl -qw net.bridge.bridge-nf-call-ip6tables=0",
        "sysctl.bridge-nf-call-ip6tables.live",
        "set at boot, not live",
    ),
    Break(
        "a later sysctl file that turns a bridge sysctl off",
        "echo net.bridge.bridge-nf-call-iptables=0 >/etc/sysctl.d/zz-site.conf",
        "sysctl.bridge-nf-call-iptables.boot",
        "/etc/sysctl.d/zz-site.conf:1",
        data={"kubenode_sysctls_override": "true"},
        undo="rm /etc/sysctl.d/zz-site.conf*",
    ),
    Break(
        "swap in use",
        "printf '%s\\n' 'Filename Type Size Used Priority' '/swapfile file 2097148 0 -2' "
        ">/root/swaps; mount --bind /root/swaps /proc/swaps",
        "swap.live",
        "/swapfile (2047 MiB)",
        fix="umount /proc/swaps",
    ),
    Break(
        "swap in fstab only",
        "cp -p /etc/fstab /root/fstab; echo /swapfile none swap sw 0 0 >>/etc/fstab",
        "swap.boot",
        "/etc/fstab",
        undo="mv /root/fstab /etc/fstab; rm -f /etc/fstab.kubenode-backup*",
    ),
    Break(
        "a swap unit that is enabled",
        "printf '[Swap]\\nWhat=/swapfile\\n[Install]\\nWantedBy=swap.target\\n' "
        ">/etc/systemd/system/swapfile.swap; mkdir -p /etc/systemd/system/swap.target.wants; "
        "ln -s ../swapfile.swap /etc/systemd/system/swap.target.wants/swapfile.swap",
        "swap.boot",
        "swapfile.swap",
        undo="rm -r /etc/systemd/system/swap*; systemctl daemon-reload",
    ),
    Break(
        "swap in fstab, of which the unit is masked in the end",
        "echo /swapfile none swap sw 0 0 >>/etc/fstab",
        "swap.boot",
        "`systemctl mask` the unit",
        fix="systemctl mask -q swapfile.swap",
        undo="sed -i '/swapfile/d' /etc/fstab; systemctl unmask -q swapfile.swap",
    ),
    Break(
        "a service that turns swap on",
        "printf '[Service]\\nExecStart=/sbin/dphys-swapfile swapon\\n[Install]\\n"
        "WantedBy=multi-user.target\\n' >/lib/systemd/system/dphys-swapfile.service; "
        "systemctl enable -q dphys-swapfile",
        "swap.boot",
        "dphys-swapfile.service",
        undo="rm -f /etc/systemd/system/dphys-swapfile.service; systemctl daemon-reload; "
        "systemctl disable -q dphys-swapfile; rm /lib/systemd/system/dphys-swapfile.service",
    ),
    Break(
        "a script that turns swap on, which kubenode does not edit",
        "printf '#!/bin/sh\\nswapon /x\\n' >/etc/rc.local; chmod +x /etc/rc.local",
        "swap.boot",
        "/etc/rc.local",
        fix="rm /etc/rc.local",
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
        "cgroupfs in containerd under a kubelet with systemd",
        f"{_kubelet_says()}; "
        f"sed -i 's/SystemdCgroup = true/SystemdCgroup = false/' {CONFIG}; {_RESTART}",
        "cgroup-driver.agreement",
        "containerd/runc cgroupfs, kubelet systemd",
        undo="rm -r /var/lib/kubelet",
    ),
    Break(
        "the kubelet uses cgroupfs",
        f"mkdir -p /var/lib/kubelet; echo 'cgroupDriver: cgroupfs' >{KUBELET}",
        "cgroup-driver.agreement",
        f'"file": "{KUBELET}", "line": 1',
        fix=f"echo 'cgroupDriver: systemd' >{KUBELET}",
        undo="rm -r /var/lib/kubelet",
    ),
    Break(
        "Docker uses cgroupfs",
        "mkdir -p /etc/docker; "
        """echo '{"exec-opts": ["native.cgroupdriver=cgroupfs"]}' >/etc/docker/daemon.json""",
        "cgroup-driver.agreement",
        '"file": "/etc/docker/daemon.json", "line": 1',
        fix="rm -r /etc/docker",
    ),
    Break(
        "CRI disabled, as in Docker's package",
        # a file of version 2 must name the plugin whole
        f"sed -i '1i disabled_plugins = [\"io.containerd.grpc.v1.cri\"]' {CONFIG}; {_RESTART}",
        "containerd.cri-enabled",
        "io.containerd.grpc.v1.cri",
    ),
    Break(
        "registry mirrors beside config_path",
        f"cp -p {CONFIG} {CONFIG}.saved; printf '%s\\n' '[{_CRI}.registry]' "
        f"'config_path = \"/etc/containerd/certs.d\"' "
        f"'[{_CRI}.registry.mirrors.\"docker.io\"]' >>{CONFIG}; {_RESTART}",
        "containerd.registry",
        f'"file": "{CONFIG}"',
        fix=f"sed -i '/^config_path/d' {CONFIG}; {_RESTART}",
        undo=f"{_UNSAVE}; rm {CONFIG}.saved",
    ),
    Break(
        "a default handler that nobody defines",
        f"cp -p {CONFIG} {CONFIG}.saved; printf '%s\\n' '[{_CRI}.containerd]' "
        f"'default_runtime_name = \"nvidia\"' >>{CONFIG}; {_RESTART}",
        "containerd.default-handler",
        "default_runtime_name = nvidia",
        data={"kubenode_containerd_default_handler": "runc"},
        undo=f"{_UNSAVE}; rm {CONFIG}.saved",
    ),
    Break(
        "a hosts.toml with a capability that does not exist",
        _registry(_MIRROR, 'capabilities = ["pul"]'),
        "containerd.registry-hosts",
        f'"file": "{_REGISTRIES}/docker.io/hosts.toml", "line": 2',
        fix=_REGISTRY_HOSTS,
        undo=_UNREGISTER,
    ),
    Break(
        "a key of hosts.toml that does not exist",
        _registry(_MIRROR, "skipverify = true"),
        "containerd.registry-hosts",
        "did you mean skip_verify?",
        fix=_REGISTRY_HOSTS,
        undo=_UNREGISTER,
    ),
    Break(
        "a registry's password that all users can read",
        _registry(_MIRROR, '[host."https://mirror.example".header]', 'Authorization = "Basic x"'),
        "containerd.registry-secrets",
        f"{_REGISTRIES}/docker.io/hosts.toml",
        state="warn",
        fix=_REGISTRY_HOSTS,
        undo=_UNREGISTER,
    ),
    Break(
        "config_path names no directory",
        _registry(),
        "containerd.registry-directory",
        _REGISTRIES,
        state="warn",
        fix=_REGISTRY_HOSTS,
        undo=_UNREGISTER,
    ),
    Break(
        "containerd stopped",
        "systemctl stop containerd",
        "runtime.cri-serving",
        "containerd",
    ),
    Break(
        "containerd not enabled",
        "systemctl disable -q containerd",
        "runtime.enabled",
        "containerd",
    ),
    Break(
        "the package is not held",
        "apt-mark -qq unhold containerd",
        "runtime.held",
        "held",
        state="warn",
    ),
    Break(
        "a program that was exchanged after the daemon started",
        "cp -p /usr/bin/containerd /usr/bin/other && mv /usr/bin/other /usr/bin/containerd",
        "runtime.config-applied",
        "exchanged after it started: containerd ",
    ),
    Break(
        "needrestart was not told to leave it alone",
        # a stand-in: what counts is that it is there, and what its files say
        "rm /etc/needrestart/conf.d/kubenode*.conf; "
        "printf '#!/bin/sh\\n' >/usr/sbin/needrestart; chmod 0755 /usr/sbin/needrestart",
        "runtime.left-alone",
        "containerd.service",
        state="warn",
        undo="rm /usr/sbin/needrestart",
    ),
    Break(
        "a package's own file beside the edited one",
        f"cp {CONFIG} {CONFIG}.dpkg-dist",
        "runtime.config-merged",
        f"{CONFIG}.dpkg-dist",
        state="warn",
        fix=f"rm {CONFIG}.dpkg-dist",
    ),
    Break(
        "a setting that a later release will not have",
        f"cp -p {CONFIG} {CONFIG}.saved; printf '%s\\n' "
        f"'[{_CRI}.registry.mirrors.\"docker.io\"]' "
        f"'endpoint = [\"https://mirror.example\"]' >>{CONFIG}; {_RESTART}",
        "containerd.deprecations",
        "cri-registry-mirrors",
        state="warn",
        fix=f"{_UNSAVE}; rm {CONFIG}.saved",
    ),
    Break(
        "edited but not restarted",
        f"{_LATER}; echo '# an edit' >>{CONFIG}",
        "runtime.config-applied",
        CONFIG,
        undo=f"sed -i '/^# an edit/d' {CONFIG}; {_RESTART}",
    ),
    Break(
        "broken TOML",
        f"cp -p {CONFIG} {CONFIG}.saved; echo 'oops = = 1' >>{CONFIG}",
        "runtime.config-readable",
        CONFIG,
        fix=f"{_UNSAVE}; rm {CONFIG}.saved",
    ),
    Break(
        "a partial runtime table",
        f"cp -p {CONFIG} {CONFIG}.saved; printf '%s\\n' "
        f"'[{_CRI}.containerd.runtimes.nvidia.options]' "
        f"'SystemdCgroup = true' >>{CONFIG}; {_RESTART}",
        "containerd.runtime-table",
        "nvidia",
        fix=f"{_UNSAVE}; rm {CONFIG}.saved",
    ),
    Break(
        "a configuration version that the release does not take",
        f"cp -p {CONFIG} {CONFIG}.saved; sed -i 's/^version = 2/version = 3/' {CONFIG}",
        "containerd.config-version",
        "takes at most 2 and refuses it",
        undo=f"rm {CONFIG}.saved",
    ),
    Break(
        "a drop-in of a version that the release does not take",
        f"cp -p {CONFIG} {CONFIG}.saved; {_import(3)}",
        "runtime.config-readable",
        f'"file": "{_DROP_IN}"',
        fix=f"sed -i 's/version = 3/version = 2/' {_DROP_IN}; {_RESTART}",
        undo=f"rm -r /etc/containerd/conf.d; {_UNSAVE}; rm {CONFIG}.saved",
    ),
    Break(
        "a drop-in of a lower version",
        f"cp -p {CONFIG} {CONFIG}.saved; {_import(1)}; {_RESTART}",
        "containerd.drop-in-version",
        "ignores the CRI settings of both",
        fix=f"sed -i 's/version = 1/version = 2/' {_DROP_IN}; {_RESTART}",
        undo=f"rm -r /etc/containerd/conf.d; {_UNSAVE}; rm {CONFIG}.saved",
    ),
    Break(
        "a pause image from a registry that is gone",
        f"cp -p {CONFIG} {CONFIG}.saved; "
        f"sed -i 's|^ *\\[{_CRI}\\] *$|&\\nsandbox_image = \"k8s.gcr.io/pause:3.6\"|' {CONFIG}; "
        f"grep -q k8s.gcr.io {CONFIG} && {_RESTART}",
        "runtime.pause-image",
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
        "runtime.daemon-reload",
        "daemon-reload",
        state="warn",
        undo="rm -r /etc/systemd/system/containerd.service.d; systemctl daemon-reload",
    ),
    Break(
        "few open files",
        "mkdir -p /etc/systemd/system/containerd.service.d; "
        "printf '[Service]\\nLimitNOFILE=1024\\n' "
        ">/etc/systemd/system/containerd.service.d/50-nofile.conf; systemctl daemon-reload",
        "runtime.nofile",
        "1024",
        state="warn",
        fix=REMEDY,
        undo="rm -r /etc/systemd/system/containerd.service.d; systemctl daemon-reload",
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
        "a CNI that containerd does not find",
        f"""mkdir -p {_PLUGINS} /etc/cni/net.d; for name in calico loopback; do
        printf '#!/bin/sh\\n' >{_PLUGINS}/$name; chmod 755 {_PLUGINS}/$name; done
        echo '{{"plugins": [{{"type": "calico"}}]}}' >/etc/cni/net.d/10-calico.conflist
        sed -i 's#/opt/cni/bin#/usr/lib/cni#' {CONFIG}; {_RESTART}""",
        "runtime.cni-plugins",
        "has calico, loopback",
        undo="rm -r /opt/cni /etc/cni",
    ),
    Break(
        "containerd too old for the release",
        ":",
        "kubernetes.containerd",
        "1.36",
        state="warn",
        options=("--for", "1.36"),
        fix="",
    ),
    Break(
        "dpkg was interrupted",
        "sed -i '/^Package: containerd$/,/^$/s/^Status: .*/Status: hold ok unpacked/' "
        "/var/lib/dpkg/status",
        "runtime.installed",
        "dpkg was interrupted",
    ),
    Break(
        "containerd removed",
        "apt-get purge -qq -y --allow-change-held-packages containerd >/dev/null; "
        "rm -rf /etc/containerd",
        "runtime.installed",
        "not installed",
    ),
)

MACHINE = (
    Break(
        "a /usr that is mounted read-only",
        "mount --bind /usr /usr && mount -o remount,bind,ro /usr",
        "platform.packages",
        "/usr is mounted read-only",
        state="warn",
        fix="mount -o remount,bind,rw /usr",
        undo="umount -l /usr",
    ),
    Break(
        "a host name that no node can have",
        # sethostname(2): hostname(1) refuses such a name
        "cat /etc/hostname >/root/name; perl -e '$_ = \"Bad_Name\"; syscall(170, $_, 8)'; "
        "cp -p /etc/hosts /root/hosts; echo '127.0.1.1 Bad_Name' >>/etc/hosts; "
        "echo Bad_Name >/etc/hostname",
        "network.hostname",
        "Bad_Name",
        fix="cat /root/name >/etc/hostname; cat /root/hosts >/etc/hosts; "
        "perl -e 'chomp($_ = <>); syscall(170, $_, length)' /root/name",
    ),
    Break(
        "a host name that is another one after the boot",
        "cat /etc/hostname >/root/name; echo other-name >/etc/hostname",
        "network.hostname",
        "other-name",
        state="warn",
        fix="cat /root/name >/etc/hostname",
    ),
    Break(
        "a proxy for everything",
        "touch /etc/environment; cp -p /etc/environment /root/environment; "
        "echo 'HTTPS_PROXY=http://user:secret@192.0.2.1:3128' >>/etc/environment",
        "network.proxy",
        "/etc/environment",
        state="warn",
        fix="cp -p /root/environment /etc/environment",
    ),
    Break(
        "containers' file system forbids programs",
        "mount -o remount,bind,noexec /var/lib/containerd",
        "machine.mount-options",
        "noexec",
        fix="mount -o remount,bind,exec /var/lib/containerd",
    ),
    Break(
        "a reboot is pending",
        "touch /run/reboot-required",
        "machine.reboot-required",
        "reboot",
        state="warn",
        fix="rm /run/reboot-required",
    ),
    Break(
        "a firewall",
        "printf '[Service]\\nExecStart=/bin/sleep infinity\\n' "
        ">/run/systemd/system/firewalld.service; "
        "systemctl daemon-reload; systemctl start firewalld",
        "network.firewall",
        "firewalld",
        state="warn",
        fix="systemctl stop firewalld; rm /run/systemd/system/firewalld.service; "
        "systemctl daemon-reload",
    ),
    Break(
        "a kernel without what kubeadm requires",
        "zcat /proc/config.gz | sed 's/^CONFIG_MEMCG=y/# CONFIG_MEMCG is not set/' | "
        "gzip >/root/config.gz; mount --bind /root/config.gz /proc/config.gz",
        "kernel.config.required",
        "CONFIG_MEMCG",
        fix="umount /proc/config.gz",
    ),
)

# a release that the target's containerd is recommended for: it is about its service and files
_FAKE_KUBELET = (
    "printf '#!/bin/sh\\necho Kubernetes v1.33.0\\n' >/usr/local/bin/kubelet; "
    "chmod 755 /usr/local/bin/kubelet; "
    "printf '%s\\n' '[Service]' 'ExecStart=/usr/local/bin/kubelet' '[Install]' "
    "'WantedBy=multi-user.target' >/etc/systemd/system/kubelet.service; systemctl daemon-reload"
)
_NO_KUBELET = (
    "systemctl disable -q kubelet; rm /usr/local/bin/kubelet /etc/systemd/system/kubelet.service; "
    "systemctl daemon-reload"
)


def _kubelet_of(release: str) -> str:
    """A kubelet that says its release, and does nothing else."""
    return (
        f"printf '#!/bin/sh\\necho Kubernetes v{release}\\n' >/usr/local/bin/kubelet; "
        "chmod 755 /usr/local/bin/kubelet"
    )


KUBELET_BREAKS = (
    Break(
        "a kubelet that nothing starts at boot",
        _FAKE_KUBELET,
        "kubelet.enabled",
        "kubelet.service is disabled",
        state="warn",
        fix="systemctl enable -q kubelet",
        undo=_NO_KUBELET,
    ),
    Break(
        "a kubelet that is newer than the cluster",
        f"{_FAKE_KUBELET}; systemctl enable -q kubelet; {_kubelet_of('1.36.2')}",
        "kubernetes.kubelet",
        "kubelet 1.30 to 1.33",
        fix=_kubelet_of("1.33.9"),
        undo=_NO_KUBELET,
        options=("--for", "1.33"),
    ),
    Break(
        "a kubelet configuration that is no YAML",
        _kubelet_says("evictionHard: ["),
        "kubelet.config-readable",
        KUBELET,
        fix=_kubelet_says(),
        undo="rm -r /var/lib/kubelet",
    ),
    Break(
        "a kubelet that looks for dockershim",
        # of a node: before that the file is kubeadm's to write
        f"{_FAKE_KUBELET}; systemctl enable -q kubelet; mkdir -p /etc/kubernetes; "
        f"sed -i 's|^ExecStart=.*|& --config={KUBELET}|' /etc/systemd/system/kubelet.service; "
        "systemctl daemon-reload; : >/etc/kubernetes/kubelet.conf; "
        + _kubelet_says(
            "apiVersion: kubelet.config.k8s.io/v1beta1",
            "kind: KubeletConfiguration",
            "cgroupDriver: systemd",
            "containerRuntimeEndpoint: unix:///var/run/dockershim.sock",
        ),
        "kubelet.runtime-endpoint",
        "dockershim.sock",
        fix=REMEDY,
        undo=f"{_NO_KUBELET}; rm -r /var/lib/kubelet /etc/kubernetes",
    ),
    Break(
        "a shutdown that does not wait for pods",
        _kubelet_says("shutdownGracePeriod: 60s"),
        "kubelet.shutdown-grace",
        "a shutdown waits 5 s",
        state="warn",
        fix=REMEDY,
        undo="rm -r /var/lib/kubelet /etc/systemd/logind.conf.d; "
        "systemctl kill -s HUP systemd-logind",
    ),
)

_CONTROL_PLANE = ("--profile", "bridge-cni", "--profile", "control-plane")


_CA = """\
-----BEGIN CERTIFICATE-----
MIIBGTCBv6ADAgECAgEHMAoGCCqGSM49BAMCMBUxEzARBgNVBAMMCmt1YmVybmV0
ZXMwIBcNMjYxMTAxMDAwMDAwWhgPMjA1NjExMDEwMDAwMDBaMBUxEzARBgNVBAMM
Cmt1YmVybmV0ZXMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARYmfuWiXI6NlN8
ORdXdomVaJw45TCsaxCdaKban05X7cdjGiwlL5oWQC1jYngCvxgOJ60YPMocgZPQ
umpm4q5eMAoGCCqGSM49BAMCA0kAMEYCIQDRfPx6JKMFvSddi72NYjrBJDEXQiH0
Q2t3FnHzAAhgzgIhAK0GYB8fz54fDo8ELhXy0UCVwniMhc4qnytp63Gq9BrB
-----END CERTIFICATE-----
"""
"""A certificate that is good for thirty years, and has no key."""


def _left(
    path: str, finding: str, options: tuple[str, ...] = (), content: str = "", **rest: Any
) -> Break:
    """A file that an earlier cluster left."""
    return Break(
        f"{path} of an earlier cluster" + (" on a control plane" if options else ""),
        f"mkdir -p {path.rpartition('/')[0]}; printf %s '{content}' >{path}",
        finding,
        path,
        # as kubeadm reset does
        fix="rm -r /etc/kubernetes /var/lib/etcd 2>/dev/null || true",
        options=options,
        **rest,
    )


LEFTOVERS = (
    _left("/etc/kubernetes/kubelet.conf", "kubeadm.kubeconfig"),
    _left("/etc/kubernetes/bootstrap-kubelet.conf", "kubeadm.kubeconfig"),
    _left("/etc/kubernetes/pki/ca.crt", "kubeadm.ca", content=_CA),
    _left("/etc/kubernetes/manifests/etcd.yaml", "kubeadm.manifests", state="warn"),
    _left("/etc/kubernetes/manifests/kube-apiserver.yaml", "kubeadm.manifests", _CONTROL_PLANE),
    Break(
        "etcd's data of an earlier cluster",
        "mkdir -p /var/lib/etcd/member",
        "kubeadm.etcd-data",
        "/var/lib/etcd is not empty",
        fix="rm -r /var/lib/etcd/member",
        undo="rmdir /var/lib/etcd",
        options=_CONTROL_PLANE,
    ),
)


def _taken(port: int) -> Break:
    """Something else that listens on a port."""
    unit = f"/run/systemd/system/taken{port}"
    return Break(
        f"port {port} is taken",
        f"printf '[Socket]\\nListenStream={port}\\nAccept=yes\\n' >{unit}.socket; "
        f"printf '[Service]\\nExecStart=/bin/true\\n' >{unit}@.service; "
        f"systemctl daemon-reload; systemctl start taken{port}.socket",
        f"network.port-{port}",
        str(port),
        fix=f"systemctl stop taken{port}.socket; rm {unit}.socket {unit}@.service; "
        "systemctl daemon-reload",
        options=() if port == 10250 else _CONTROL_PLANE,
    )


NETWORK = (
    *(_taken(port) for port in (10250, 6443, 10259, 10257, 2379, 2380)),
    Break(
        "localhost is somewhere else",
        "cp -p /etc/hosts /root/hosts; "
        "{ grep -v localhost /root/hosts; echo '10.0.0.9 localhost'; } >/root/elsewhere; "
        "cat /root/elsewhere >/etc/hosts",
        "network.localhost",
        "10.0.0.9",
        fix="cat /root/hosts >/etc/hosts",
    ),
    Break(
        "no default route",
        "ip route show default >/root/route; ip route del default",
        "network.default-route",
        "there is none",
        state="warn",
        fix="ip route add $(cat /root/route)",
    ),
)

# what the machine around the target has is shown to it in a file
_SHOWN = "mount --bind /root/shown"

SIZES = (
    Break(
        "one CPU on a control plane",
        f"echo 0 >/root/shown; {_SHOWN} /sys/devices/system/cpu/online",
        "machine.cpus",
        "1 CPU",
        fix="umount /sys/devices/system/cpu/online",
        options=_CONTROL_PLANE,
    ),
    Break(
        "little memory on a control plane",
        f"echo 'MemTotal: 1048576 kB' >/root/shown; {_SHOWN} /proc/meminfo",
        "machine.memory",
        "1024 MiB",
        fix="umount /proc/meminfo",
        options=_CONTROL_PLANE,
    ),
    Break(
        "a disk that is nearly full",
        "mount -t tmpfs -o size=1m tmpfs /var/lib/kubelet || "
        "{ mkdir /var/lib/kubelet; mount -t tmpfs -o size=1m tmpfs /var/lib/kubelet; }; "
        "head -c 900k /dev/zero >/var/lib/kubelet/full",
        "machine.disk",
        "/var/lib/kubelet",
        state="warn",
        fix="rm /var/lib/kubelet/full",
        undo="umount /var/lib/kubelet; rmdir /var/lib/kubelet",
    ),
    Break(
        "images on another disk, which is nearly full",
        f"cp -p {CONFIG} {CONFIG}.saved; "
        f"sed -i '/^root = /d; 1i root = \"/srv/containerd\"' {CONFIG}; "
        "mkdir /srv/containerd; mount -t tmpfs -o size=4m tmpfs /srv/containerd; "
        f"{_RESTART}; head -c 3500k /dev/zero >/srv/containerd/full || :",
        "machine.disk",
        "/srv/containerd",
        state="warn",
        fix="rm /srv/containerd/full",
        undo=f"{_UNSAVE}; rm {CONFIG}.saved; umount /srv/containerd; rmdir /srv/containerd",
    ),
    Break(
        "no inodes left",
        "mkdir -p /var/lib/kubelet; mount -t tmpfs -o nr_inodes=40 tmpfs /var/lib/kubelet; "
        "cd /var/lib/kubelet; for number in $(seq 39); do : >$number; done",
        "machine.inodes",
        "/var/lib/kubelet",
        state="warn",
        fix="rm /var/lib/kubelet/*",
        undo="umount /var/lib/kubelet; rmdir /var/lib/kubelet",
    ),
    Break(
        "containerd's directory on an overlay",
        "mkdir -p /root/containerd; mount --bind /root/containerd /var/lib/containerd",
        "machine.file-system",
        "(overlay)",
        fix="umount /var/lib/containerd",
    ),
    Break(
        "no umount",
        "mv $(command -v umount) /root/",
        "machine.programs.required",
        "umount",
        fix="mv /root/umount /usr/bin/",
    ),
    Break(
        "no losetup",
        "mv $(command -v losetup) /root/",
        "machine.programs.required",
        "losetup",
        fix="mv /root/losetup /usr/sbin/",
    ),
    Break(
        "no package manager that is known",
        "mv /usr/bin/apt-get /root/",
        "platform.package-manager",
        "apt-get",
        state="warn",
        fix="mv /root/apt-get /usr/bin/",
    ),
    Break(
        "a kernel that Kubernetes does not support",
        'printf \'#!/bin/sh\\n/usr/bin/uname "$@" | sed "s/$(/usr/bin/uname -r)/4.18.0/"\\n\' '
        ">/usr/local/sbin/uname; chmod 755 /usr/local/sbin/uname",
        "kernel.version",
        "4.18.0",
        fix="rm /usr/local/sbin/uname",
    ),
    Break(
        "a kernel without seccomp",
        "zcat /proc/config.gz | sed 's/^CONFIG_SECCOMP=y/# CONFIG_SECCOMP is not set/' | "
        "gzip >/root/config.gz; mount --bind /root/config.gz /proc/config.gz",
        "kernel.config.optional",
        "CONFIG_SECCOMP",
        state="warn",
        fix="umount /proc/config.gz",
    ),
)

_RELEASE = "$(uname -r)"
_IPVS = "ip_vs ip_vs_rr ip_vs_wrr ip_vs_sh nf_conntrack"

_LOADED = f"{_IPVS} overlay br_netfilter nf_tables usbip_core"

MODULAR_KERNEL = f"""
# the targets' kernel has no modules: make it look like one that has, with these loaded
for name in {_LOADED}; do
  mkdir -p /root/module/$name; echo live >/root/module/$name/initstate
done
mkdir -p /root/module/apparmor/parameters; echo N >/root/module/apparmor/parameters/enabled
cp -r /sys/module/. /root/module/ 2>/dev/null || :
mount --bind /root/module /sys/module
mkdir -p /lib/modules/{_RELEASE}; : >/lib/modules/{_RELEASE}/modules.builtin
for name in {_LOADED}; do echo "kernel/$name.ko:"; done >/lib/modules/{_RELEASE}/modules.dep
zcat /proc/config.gz | sed 's/^# CONFIG_MODULES is not set/CONFIG_MODULES=y/; /CONFIG_IP_VS/d
/CONFIG_NF_/d; /CONFIG_BRIDGE_NETFILTER/d; s/^CONFIG_OVERLAY_FS=y/CONFIG_OVERLAY_FS=m/' |
  gzip >/root/modular.gz
mount --bind /root/modular.gz /proc/config.gz
grep -v overlay /proc/filesystems >/root/filesystems
mount --bind /root/filesystems /proc/filesystems
printf '%s\\n' {_IPVS} nf_tables usbip_core >/etc/modules-load.d/site.conf
cat >/usr/sbin/modprobe <<'end'
#!/bin/sh
for name in "$@"; do
  case $name in -*) continue;; esac
  mkdir -p /sys/module/$name && echo live >/sys/module/$name/initstate
done
end
chmod 755 /usr/sbin/modprobe
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
        fix=f"{_OPERATION}kernel.sysctls(values={{'{_IPV6}': 1}}, "
        "persist_file='/etc/sysctl.d/90-ipv6.conf')",
        undo=f"rm /etc/sysctl.d/90-ipv6.conf; sysctl -qw {_IPV6}=0",
        options=("--profile", "bridge-cni", "--profile", "ipv6"),
    ),
    Break(
        "IPv6 that is not forwarded now",
        f"sysctl -qw {_IPV6}=0; echo {_IPV6}=1 >/etc/sysctl.d/90-ipv6.conf",
        "sysctl.ipv6-forwarding.live",
        "set at boot, not live",
        fix=f"{_OPERATION}kernel.sysctls(values={{'{_IPV6}': 1}}, "
        "persist_file='/etc/sysctl.d/90-ipv6.conf')",
        undo=f"rm /etc/sysctl.d/90-ipv6.conf; sysctl -qw {_IPV6}=0",
        options=("--profile", "bridge-cni", "--profile", "ipv6"),
    ),
    Break(
        "a sysctl of the settings that is lost at reboot",
        f"sysctl -qw {_ROUTE}=1",
        "sysctl.settings.boot",
        "lost at reboot",
        fix=DEPLOY,
        undo=f"sed -i /{_ROUTE}/d /etc/sysctl.d/k8s.conf; sysctl -qw {_ROUTE}=0",
        settings={"kubenode_sysctls": {"net.ipv4.ip_forward": 1, _ROUTE: 1}},
    ),
    Break(
        "a sysctl of the settings that is not applied",
        f"echo {_ROUTE}=1 >/etc/sysctl.d/90-site.conf",
        "sysctl.settings.live",
        "set at boot, not live",
        fix=DEPLOY,
        undo=f"rm /etc/sysctl.d/90-site.conf; sed -i /{_ROUTE}/d /etc/sysctl.d/k8s.conf; "
        f"sysctl -qw {_ROUTE}=0",
        settings={"kubenode_sysctls": {"net.ipv4.ip_forward": 1, _ROUTE: 1}},
    ),
)

MODULAR_OPTIONS = ("--profile", "bridge-cni", "--profile", "ipvs", "--profile", "nftables")
_SITE = "/etc/modules-load.d/site.conf"
_WITH_OWN = {"kubenode_modules": ["overlay", "br_netfilter", "usbip_core"]}


def _unload(name: str) -> str:
    return f"rm -r /root/module/{name}"


def _forget(names: str) -> str:
    """Take back that the deploy persisted these modules."""
    return "; ".join(f"sed -i /^{name}$/d /etc/modules-load.d/k8s.conf" for name in names.split())


MODULES = (
    Break(
        "overlay not loaded",
        _unload("overlay"),
        "module.overlay.live",
        "overlay loadable at boot only",
        options=MODULAR_OPTIONS,
    ),
    Break(
        "overlay not persisted",
        "sed -i /overlay/d /etc/modules-load.d/k8s.conf",
        "module.overlay.boot",
        "overlay loaded, lost at reboot",
        options=MODULAR_OPTIONS,
    ),
    Break(
        "br_netfilter not persisted",
        "sed -i /br_netfilter/d /etc/modules-load.d/k8s.conf",
        "module.br-netfilter.boot",
        "br_netfilter loaded, lost at reboot",
        options=MODULAR_OPTIONS,
    ),
    Break(
        "nf_tables not loaded",
        _unload("nf_tables"),
        "module.nf-tables.live",
        "nf_tables loadable at boot only",
        data={"kubenode_modules": "overlay,br_netfilter,nf_tables"},
        undo=_forget("nf_tables"),
        options=MODULAR_OPTIONS,
    ),
    Break(
        "nf_tables not persisted",
        f"sed -i /nf_tables/d {_SITE}",
        "module.nf-tables.boot",
        "nf_tables loaded, lost at reboot",
        data={"kubenode_modules": "overlay,br_netfilter,nf_tables"},
        undo=f"{_forget('nf_tables')}; echo nf_tables >>{_SITE}",
        options=MODULAR_OPTIONS,
    ),
    Break(
        "a module of the settings not loaded",
        _unload("usbip_core"),
        "module.settings.live",
        "usbip_core loadable at boot only",
        undo=_forget("usbip_core"),
        options=MODULAR_OPTIONS,
        settings=_WITH_OWN,
    ),
    Break(
        "a module of the settings not persisted",
        f"sed -i /usbip_core/d {_SITE}",
        "module.settings.boot",
        "usbip_core loaded, lost at reboot",
        undo=f"{_forget('usbip_core')}; echo usbip_core >>{_SITE}",
        options=MODULAR_OPTIONS,
        settings=_WITH_OWN,
    ),
    Break(
        "modules not persisted",
        f"sed -i '/ip_vs/d; /nf_conntrack/d' {_SITE}",
        "module.ipvs.boot",
        "loaded, lost at reboot",
        data={"kubenode_modules": "overlay,br_netfilter," + _IPVS.replace(" ", ",")},
        undo=f"{_forget(_IPVS)}; printf '%s\\n' {_IPVS} >>{_SITE}",
        options=MODULAR_OPTIONS,
    ),
    Break(
        "a module file that is masked",
        f"mkdir -p /usr/lib/modules-load.d; grep -E 'ip_vs|nf_conntrack' {_SITE} "
        f">/usr/lib/modules-load.d/ipvs.conf; sed -i '/ip_vs/d; /nf_conntrack/d' {_SITE}; "
        "ln -s /dev/null /etc/modules-load.d/ipvs.conf",
        "module.ipvs.boot",
        "loaded, lost at reboot",
        fix="rm /etc/modules-load.d/ipvs.conf",
        undo=f"cat /usr/lib/modules-load.d/ipvs.conf >>{_SITE}; "
        "rm /usr/lib/modules-load.d/ipvs.conf",
        options=MODULAR_OPTIONS,
    ),
    Break(
        "a module blacklisted",
        "echo 'blacklist ip_vs_rr' >/etc/modprobe.d/cis.conf",
        "module.ipvs.boot",
        "/etc/modprobe.d/cis.conf",
        fix="rm /etc/modprobe.d/cis.conf",
        options=MODULAR_OPTIONS,
    ),
    Break(
        "a module that install forbids",
        "echo 'install ip_vs_sh /bin/false' >/etc/modprobe.d/cis.conf",
        "module.ipvs.boot",
        "install ip_vs_sh /bin/false",
        fix="rm /etc/modprobe.d/cis.conf",
        options=MODULAR_OPTIONS,
    ),
    Break(
        "a module whose name stands for none",
        "echo 'alias ip_vs_sh off' >/etc/modprobe.d/cis.conf",
        "module.ipvs.boot",
        "alias ip_vs_sh off",
        fix="rm /etc/modprobe.d/cis.conf",
        options=MODULAR_OPTIONS,
    ),
    Break(
        "a module set at boot, not loaded",
        _unload("ip_vs_wrr"),
        "module.ipvs.live",
        "at boot only",
        data={"kubenode_modules": "overlay,br_netfilter,ip_vs_wrr"},
        undo=_forget("ip_vs_wrr"),
        options=MODULAR_OPTIONS,
    ),
    Break(
        "a kernel whose modules are gone from disk",
        f"mv /lib/modules/{_RELEASE} /lib/modules/99.0.0",
        "module.kernel-on-disk",
        "99.0.0",
        state="warn",
        fix=f"mv /lib/modules/99.0.0 /lib/modules/{_RELEASE}",
        options=MODULAR_OPTIONS,
    ),
    Break(
        "no modprobe",
        "mv /usr/sbin/modprobe /root/",
        "module.modprobe",
        "no modprobe",
        state="warn",
        fix="mv /root/modprobe /usr/sbin/",
        options=MODULAR_OPTIONS,
    ),
    Break(
        "AppArmor without its parser",
        "echo Y >/root/module/apparmor/parameters/enabled",
        "machine.security-modules",
        "no apparmor_parser",
        state="warn",
        # as installing apparmor does
        fix="ln -s /bin/true /usr/sbin/apparmor_parser",
        undo="rm /usr/sbin/apparmor_parser; echo N >/root/module/apparmor/parameters/enabled",
        options=MODULAR_OPTIONS,
    ),
)

BREAKS = KERNEL + CONTAINERD + KUBELET_BREAKS + LEFTOVERS + NETWORK + MACHINE + SIZES + OPERATIONS

NOT_BROKEN = {
    **{
        f"crio.{name}": "these nodes have containerd; test_crio_breaks breaks one with CRI-O"
        for name in (
            "stray-files",
            "signature-policy",
            "bridge",
            "insecure-registries",
            "monitor-cgroup",
            "command-line",
            "kubernetes",
        )
    },
    "platform.linux": "a target is Linux; tests/unit/checks",
    "platform.root": "test_audit: a user whom sudo asks for a password",
    "platform.systemd": "test_prepare: a target without systemd",
    "module.br-netfilter.live": "the machine's kernel has it in every target; tests/unit/checks",
    "cgroup.version": "test_prepare: cgroup v1, where the machine has one",
    "cgroup.controllers": "a finding of every target, which has no controllers",
    "cgroup-driver.placement": "test_audit: a misplaced container",
    "kubernetes.release-known": "about kubenode, not the host; tests/unit/checks",
    "kubernetes.facts-current": "about kubenode, not the host; tests/unit/checks",
    "kubernetes.repository-key": "test_audit would need a key with a date; tests/unit/checks",
    "certificates.expiry": "its file is a control plane's; tests/unit/test_certificates.py",
    "kubernetes.supported": "its remedy is another release; tests/unit/checks",
    "kubelet.applied": "test_kubelet_configured: these nodes have no kubelet that runs",
    "kubernetes.kernel": "--for 1.35 finds containerd too old as well; tests/unit/checks",
    "kernel.nftables": "an old kernel is kernel.version's finding too; tests/unit/checks",
    "runtime.supported": "its remedy is another distribution; tests/unit/checks",
    "runtime.alone": "test_changing_runtime: a node that had another runtime",
    "machine.programs.optional": "test_audit: the packages are installed",
    "docker.cri-dockerd": "test_docker_breaks: a node with Docker Engine",
    "docker.enabled": "test_docker_breaks",
    "docker.keys": "test_docker_breaks",
    "docker.driver-in-force": "test_docker_breaks",
    "docker.live-restore": "test_docker_breaks",
    "docker.cri-dockerd-fits": "test_docker_breaks",
    "docker.cri-dockerd-restarted": "test_docker_breaks",
    "machine.clock": "a container's clock is the machine's; tests/unit/checks",
}
"""Checks that no break here is about: why, and which test is."""

APPLIED_ELSEWHERE = {
    "swap.live": "test_swap_off: what is in /proc/swaps here is a file",
    "kubernetes.kubelet": "test_kubernetes_packages: a repository, and an upgrade from it",
    "kubelet.enabled": "test_kubernetes_packages: kubelet's package",
    "kubernetes.containerd": "test_archives, test_package_repositories: newer releases",
    "machine.programs.required": "test_prerequisites: packages are installed",
    "machine.security-modules": "test_prerequisites: packages are installed",
}
"""Checks whose operation no break here applies: what is needed for it, and which test does."""
