"""The main jobs: make a Linux host a Kubernetes node, and judge one."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from pyinfra import host
from pyinfra.api import deploy

from kubenode import settings
from kubenode.audit import aim
from kubenode.facts.kernel import KernelModules, Sysctls
from kubenode.facts.kubelet import Kubelet
from kubenode.facts.platform import Platform
from kubenode.facts.swap import SwapSources
from kubenode.operations import kernel, platform, swap
from kubenode.set_up import set_up
from kubenode.set_up.set_up import Read
from kubenode.wire import joint_reading
from kubenode.wire.probe_fact import ProbeFact


def _swap_read_by(node: settings.NodeSettings) -> list[Read]:
    """What the operation for ``kubenode_swap`` reads."""
    facts: dict[str | None, tuple[type[ProbeFact[Any]], ...]] = {
        None: (SwapSources, Kubelet),
        "off": (SwapSources,),
        "limited": (Kubelet, Platform),
    }
    return [(fact, {}) for fact in facts.get(node.swap, ())]


def _set_swap(node: settings.NodeSettings) -> None:
    if node.swap in (None, "off"):
        swap.off(name="No swap", unless_allowed=node.swap is None)
    elif node.swap == "limited":
        swap.limited(name="Swap for pods")


def _kubernetes(node: settings.NodeSettings) -> ModuleType | None:
    """The module that sees to kubelet and kubeadm, None where none of them is asked for."""
    if not (node.wants_prerequisites or node.kubernetes_source or node.kubelet_settings):
        return None
    # many hosts have them from elsewhere, and their operations take long to import
    from kubenode.set_up import kubernetes

    return kubernetes


def _changeover(node: settings.NodeSettings) -> ModuleType | None:
    """The module that changes over from another runtime, None where that is not asked for."""
    if not node.replace_runtime:
        return None
    from kubenode.set_up import changeover

    return changeover


@deploy("Node")
def prepare() -> None:
    """
    Make the host a node on which kubelet can start pods, now and after the next reboot.

    It installs the container runtime, turns swap off, and installs the programs that kubelet and
    kubeadm use where a Kubernetes release is set; it loads and persists modules, sets and persists
    sysctls, configures and starts the runtime, and installs kubelet and kubeadm where
    ``kubenode_kubernetes_source`` says from where. The host's ``kubenode_`` data decide the details
    (:class:`kubenode.settings.NodeSettings`). A host that cannot be a node fails alone, before any
    change. A wrong setting ends the run before any host is changed.

    **Example:**

    .. code:: python

        from kubenode.node import prepare

        prepare()
    """
    aim.check(host)
    node = settings.for_host(host)
    runtime, kubernetes = set_up.of(node.runtime), _kubernetes(node)
    changeover = _changeover(node)
    with joint_reading.announced(
        [
            (Platform, {}),
            *runtime.installed_by(node),
            *_swap_read_by(node),
            *(kubernetes.prerequisites_read_by(node) if kubernetes else []),
            (KernelModules, {"modules": node.modules, "persist_file": node.modules_file}),
            (Sysctls, {"keys": list(node.sysctls), "persist_file": node.sysctls_file}),
            *runtime.configured_by(node),
            *(changeover.READ if changeover else []),
            *(kubernetes.read_by(node) if kubernetes else []),
        ]
    ):
        platform.supported(
            name="Can this host be a node?",
            cgroup_driver=node.cgroup_driver,
            kubernetes_version=node.kubernetes_version,
            runtime=node.runtime,
            replace_runtime=node.replace_runtime,
        )
        # first of what changes anything: a source may have nothing that this node can use
        runtime.install(node)
        _set_swap(node)
        if kubernetes:
            # before the modules: EL 10 has br_netfilter in a package of its own
            kubernetes.install_prerequisites(node)
        kernel.modules(
            name="Kernel modules",
            modules=node.modules,
            persist_file=node.modules_file,
        )
        kernel.sysctls(
            name="Sysctls",
            values=node.sysctls,
            persist_file=node.sysctls_file,
            override=node.sysctls_override,
        )
        runtime.configure(node)
        if changeover:
            changeover.change_over(node)
        if kubernetes:
            kubernetes.install_and_configure(node)


@deploy("Node")
def audit() -> None:
    """
    Judge the host by every check, and change nothing on it.

    See :func:`kubenode.operations.audit.node`.

    **Example:**

    .. code:: shell

        pyinfra INVENTORY kubenode.node.audit
    """
    # preparing a host needs no reports, and they take as long to import as all the rest
    from kubenode.operations import audit as audits

    audits.node(name="Audit")
