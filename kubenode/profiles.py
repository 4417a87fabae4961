"""Profiles: what a node needs beyond what every node needs, by how the cluster uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

ProfileName = Literal["bridge-cni", "ipv6", "ipvs", "nftables", "control-plane"]


@dataclass(frozen=True)
class Profile:
    """One way to use a node."""

    description: str
    modules: tuple[str, ...] = ()
    """Kernel modules it needs, live and at boot."""
    sysctls: tuple[str, ...] = ()
    """Sysctls it needs to be 1, live and at boot."""


PROFILES: dict[ProfileName, Profile] = {
    "bridge-cni": Profile(
        "CNI plugins that put pods on a Linux bridge and filter with iptables (bridge, flannel, "
        "kube-router); Cilium and Calico in eBPF mode do not need it",
        modules=("br_netfilter",),
        sysctls=(
            "net.bridge.bridge-nf-call-iptables",
            "net.bridge.bridge-nf-call-ip6tables",
        ),
    ),
    "ipv6": Profile("IPv6 or dual-stack pods", sysctls=("net.ipv6.conf.default.forwarding",)),
    "ipvs": Profile(
        "kube-proxy in IPVS mode",
        modules=("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "nf_conntrack"),
    ),
    "nftables": Profile("kube-proxy in nftables mode", modules=("nf_tables",)),
    "control-plane": Profile("the node runs the control plane: etcd, API server, controllers"),
}

assert set(PROFILES) == set(get_args(ProfileName))
