"""What kubenode's deploy does, written the usual way with pyinfra's own operations."""

from pathlib import Path

from pyinfra.operations import apt, files, server, systemd

_FILES = Path(__file__).parent / "files"

for module in ("overlay", "br_netfilter"):
    server.modprobe(name=f"Module {module} is loaded", module=module)
files.put(
    name="Modules are loaded at boot",
    src=str(_FILES / "modules.conf"),
    dest="/etc/modules-load.d/k8s.conf",
    user="root",
    group="root",
    mode="644",
)
for key in (
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.ipv4.ip_forward",
):
    server.sysctl(
        name=f"{key} is set",
        key=key,
        value=1,
        persist=True,
        persist_file="/etc/sysctl.d/k8s.conf",
    )
installed = apt.packages(
    name="containerd is installed",
    packages=["containerd"],
    update=True,
    cache_time=3600,
    no_recommends=True,
)
server.shell(
    name="containerd is held", commands=["apt-mark hold containerd"], _if=installed.did_change
)
configured = files.put(
    name="containerd is configured",
    src=str(_FILES / "config.toml"),
    dest="/etc/containerd/config.toml",
    user="root",
    group="root",
    mode="644",
)
files.put(
    name="crictl is configured",
    src=str(_FILES / "crictl.yaml"),
    dest="/etc/crictl.yaml",
    user="root",
    group="root",
    mode="644",
)
systemd.service(
    name="containerd is restarted", service="containerd", restarted=True, _if=configured.did_change
)
systemd.service(name="containerd runs", service="containerd", running=True, enabled=True)
