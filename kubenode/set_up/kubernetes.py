"""What kubelet and kubeadm use, themselves, and kubelet's settings, as prepare sees to them."""

from __future__ import annotations

from kubenode.facts.kubelet_files import KubeletFiles
from kubenode.facts.logind import Logind
from kubenode.facts.prerequisites import Prerequisites
from kubenode.operations import kubelet, kubernetes, logind, prerequisites
from kubenode.set_up.set_up import Read
from kubenode.settings import NodeSettings


def prerequisites_read_by(node: NodeSettings) -> list[Read]:
    """What the operation for the programs that kubelet uses reads first."""
    return [(Prerequisites, {})] if node.wants_prerequisites else []


def read_by(node: NodeSettings) -> list[Read]:
    """What the operations for kubelet and kubeadm themselves read first, in their order."""
    files: list[Read] = [(KubeletFiles, {})] if node.kubelet_settings is not None else []
    delay: list[Read] = [(Logind, {})] if node.shutdown_wait is not None else []
    packages = node.kubernetes_packages if node.kubernetes_source is not None else None
    return [*files, *delay, *(kubernetes.facts(packages) if packages is not None else [])]


def install_prerequisites(node: NodeSettings) -> None:
    """The programs that kubelet, kubeadm and kube-proxy use."""
    if node.wants_prerequisites:
        prerequisites.prerequisites(
            name="What kubelet and kubeadm use is there",
            kubernetes_version=node.kubernetes_version,
            profiles=node.profiles,
        )


def install_and_configure(node: NodeSettings) -> None:
    """kubelet and kubeadm, behind the runtime: kubelet does not start without one."""
    if node.kubernetes_source is not None and node.kubernetes_version is not None:
        kubernetes.installed(
            name="Kubernetes' packages are installed",
            version=node.kubernetes_version,
            source=node.kubernetes_source,
            packages=node.kubernetes_packages,
            hold=node.kubernetes_hold,
        )
    if node.shutdown_wait is not None:
        # kubelet looks at it when it starts
        logind.shutdown_delay(name="A shutdown waits for pods", at_least=node.shutdown_wait)
    if node.kubelet_settings is not None:
        kubelet.configured(
            name="kubelet is configured",
            settings=node.kubelet_settings,
            change_driver_under_pods=node.change_driver_under_pods,
        )
