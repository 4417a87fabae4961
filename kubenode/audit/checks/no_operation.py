"""Why no operation of kubenode's repairs what a check finds, for each check that names none."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MACHINE = "it is of the machine, its kernel or its image, which are not made on the host"
REBOOT = "it takes a reboot, whose time its owner chooses"
OWN_WORDS = "somebody's own file is wrong, and only its owner knows what it was to say"
OTHERS = "it is another program's, and stopping or removing that is its owner's decision"
CLUSTER = "it is an earlier cluster's, and what is still needed of that its owner knows"
NETWORK = "it is of the network that the site has, and only the site knows what is right"
SIGNED = "the cluster signs them, and kubeadm and kubelet renew them"
PODS = "pods have to go first, and draining is the cluster's"
RUN = "it is about how kubenode is run, or how old it is"
ROOM = "what takes up the room, and whether it is still needed, its owner knows"

WHY: Mapping[str, str] = MappingProxyType(
    {
        check: why
        for why, checks in {
            MACHINE: (
                "platform.linux", "platform.packages", "platform.package-manager",
                "platform.systemd", "module.modprobe", "cgroup.version", "cgroup.controllers",
                "kubernetes.kernel", "kernel.version", "kernel.nftables", "kernel.config.required",
                "kernel.config.optional", "machine.cpus", "machine.memory", "machine.clock",
                "machine.mount-options", "machine.file-system",
            ),
            REBOOT: ("module.kernel-on-disk", "machine.reboot-required"),
            OWN_WORDS: (
                "runtime.config-readable", "runtime.config-merged", "containerd.drop-in-version",
                "containerd.runtime-table", "containerd.registry", "containerd.deprecations",
                "crio.stray-files", "crio.signature-policy", "crio.insecure-registries",
                "crio.command-line", "docker.keys", "kubelet.config-readable",
            ),
            OTHERS: (
                "crio.bridge", "network.port-10250", "network.port-6443", "network.port-10259",
                "network.port-10257", "network.port-2379", "network.port-2380",
            ),
            CLUSTER: ("kubeadm.kubeconfig", "kubeadm.ca", "kubeadm.manifests", "kubeadm.etcd-data"),
            SIGNED: ("certificates.expiry",),
            NETWORK: (
                "network.hostname", "network.localhost", "network.default-route",
                "network.firewall", "network.proxy",
            ),
            PODS: ("cgroup-driver.placement", "runtime.supported"),
            RUN: ("platform.root", "kubernetes.release-known", "kubernetes.facts-current"),
            ROOM: ("machine.disk", "machine.inodes"),
        }.items()
        for check in checks
    }
)  # fmt: skip
"""By the check's id."""
