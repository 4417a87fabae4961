"""The main jobs: make a Linux host a Kubernetes node, and judge one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pyinfra import host, logger
from pyinfra.api import OperationValueError, deploy

from kubenode import settings
from kubenode.audit import aim
from kubenode.facts.containerd import Containerd
from kubenode.facts.containerd_service import ContainerdService
from kubenode.facts.crictl import Crictl
from kubenode.facts.crio import Crio, CrioFiles
from kubenode.facts.docker import Docker, DockerFiles, DockerPackage
from kubenode.facts.kernel import KernelModules, Sysctls
from kubenode.facts.kubelet import Kubelet
from kubenode.facts.kubelet_files import KubeletFiles
from kubenode.facts.platform import Platform
from kubenode.facts.prerequisites import Prerequisites
from kubenode.facts.swap import SwapSources
from kubenode.operations import (
    containerd,
    containerd_program,
    crio,
    crio_program,
    docker,
    kernel,
    kubelet,
    kubernetes,
    packages,
    platform,
    swap,
)
from kubenode.run.pyinfra_internals import print_prefix
from kubenode.runtimes.runtime import CONTAINERD, CRIO, DOCKER, MCR
from kubenode.wire import joint_reading
from kubenode.wire.probe_fact import ProbeFact

_Read = tuple[type[ProbeFact[Any]], dict[str, Any]]


class _SetUp(NamedTuple):
    """How a runtime is set up."""

    installed_by: Callable[
        [settings.NodeSettings], list[tuple[type[ProbeFact[Any]], dict[str, Any]]]
    ]
    """What the operation that installs it reads first, with its arguments."""
    install: Callable[[settings.NodeSettings], None]
    configured_by: Callable[[settings.NodeSettings], list[_Read]]
    """What the operations that configure and start it read first, in their order."""
    configure: Callable[[settings.NodeSettings], None]


def _install_containerd(node: settings.NodeSettings) -> None:
    containerd.installed(
        name="containerd is installed",
        version=node.containerd_version,
        source=node.containerd_source,
        fetched_by=node.containerd_fetched_by,
        hold=node.containerd_hold,
        kubernetes_version=node.kubernetes_version,
        restart=node.restart,
    )


def _states_service(node: settings.NodeSettings) -> bool:
    return node.proxy is not None or node.limit_nofile is not None


def _containerd_configured_by(node: settings.NodeSettings) -> list[_Read]:
    service: list[_Read] = [(ContainerdService, {})] if _states_service(node) else []
    return [*containerd.facts_of(node.containerd_handlers), *service, (Containerd, {})]


def _configure_containerd(node: settings.NodeSettings) -> None:
    containerd.configured(
        name="containerd is configured",
        cgroup_driver=node.cgroup_driver,
        pause_image=node.pause_image,
        snapshotter=node.snapshotter,
        registry_config_path=node.registry_config_path,
        cni_bin_dirs=node.cni_bin_dirs,
        handlers=node.containerd_handlers,
        default_handler=node.containerd_default_handler,
        fragment=node.containerd_fragment,
        change_driver_under_pods=node.change_driver_under_pods,
        restart=node.restart,
    )
    if node.registry_hosts:
        containerd.registry_hosts(
            name="containerd knows its registries",
            registries=node.registry_hosts,
            restart=node.restart,
        )
    if _states_service(node):
        containerd.service(
            name="containerd has its proxies and limits",
            proxy=node.proxy,
            limit_nofile=node.limit_nofile,
            restart=node.restart,
        )
    containerd.running(
        name="containerd serves CRI",
        change_driver_under_pods=node.change_driver_under_pods,
        restart=node.restart,
    )


def _install_crio(node: settings.NodeSettings) -> None:
    crio.installed(
        name="CRI-O is installed",
        version=node.crio_version,
        source=node.crio_source,
        hold=node.crio_hold,
        kubernetes_version=node.kubernetes_version,
        restart=node.restart,
    )


_OF_CONTAINERD = (
    "registry_hosts", "registry_config_path", "snapshotter", "proxy", "limit_nofile"
)  # fmt: skip
"""Settings that only containerd has an operation for."""


def _configure_crio(node: settings.NodeSettings) -> None:
    for name in _OF_CONTAINERD:
        if getattr(node, name) != getattr(settings.DEFAULTS, name):
            logger.warning(
                f"{print_prefix(host)}{settings.PREFIX}{name} is containerd's, and nothing is done "
                "of it for CRI-O"
            )
    crio.configured(
        name="CRI-O is configured",
        cgroup_driver=node.cgroup_driver,
        pause_image=node.pause_image,
        monitor_cgroup=node.crio_monitor_cgroup,
        default_runtime=node.crio_default_runtime,
        cni_bin_dirs=node.cni_bin_dirs,
        change_driver_under_pods=node.change_driver_under_pods,
        restart=node.restart,
    )
    if node.crio_registries:
        crio.registries(
            name="CRI-O knows its registries",
            registries=node.crio_registries,
        )
    crio.running(
        name="CRI-O serves CRI",
        change_driver_under_pods=node.change_driver_under_pods,
        restart=node.restart,
    )


def _install_docker(node: settings.NodeSettings) -> None:
    docker.installed(
        name="Docker Engine and cri-dockerd are installed",
        source="mcr" if _takes_mcr(node) else node.docker_source,
        version=node.docker_version,
        hold=node.docker_hold,
        cri_dockerd=node.cri_dockerd_source,
        kubernetes_version=node.kubernetes_version,
        restart=node.restart,
        fetched_by=node.containerd_fetched_by,
        mcr_channel=node.mcr_channel,
        mcr_licence=node.mcr_licence,
    )


def _takes_mcr(node: settings.NodeSettings) -> bool:
    return node.runtime == MCR.name and node.docker_source == settings.DEFAULTS.docker_source


def _configure_docker(node: settings.NodeSettings) -> None:
    docker.configured(
        name="Docker Engine and cri-dockerd are configured",
        cgroup_driver=node.cgroup_driver,
        live_restore=node.docker_live_restore,
        log_driver=node.docker_log_driver,
        log_opts=node.docker_log_opts,
        storage_driver=node.docker_storage_driver,
        registry_mirrors=node.docker_registry_mirrors,
        pause_image=node.pause_image,
        cni_bin_dirs=node.cni_bin_dirs,
        change_driver_under_pods=node.change_driver_under_pods,
        restart=node.restart,
    )
    docker.running(name="cri-dockerd serves CRI", restart=node.restart)


_DOCKER = _SetUp(
    lambda node: [(DockerPackage, {})],
    _install_docker,
    lambda node: [(DockerFiles, {}), (Crictl, {}), (Docker, {})],
    _configure_docker,
)
_SET_UP = {
    CONTAINERD.name: _SetUp(
        lambda node: containerd_program.facts(node.containerd_source),
        _install_containerd,
        _containerd_configured_by,
        _configure_containerd,
    ),
    CRIO.name: _SetUp(
        lambda node: crio_program.facts(node.crio_source),
        _install_crio,
        lambda node: [(CrioFiles, {}), (Crictl, {}), (Crio, {})],
        _configure_crio,
    ),
    DOCKER.name: _DOCKER,
    MCR.name: _DOCKER,
}
"""By the runtime's name in its row, see :mod:`kubenode.runtimes.runtime`."""


def _swap_read_by(node: settings.NodeSettings) -> list[_Read]:
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


def _set_up_by(name: str) -> _SetUp:
    if name not in _SET_UP:
        raise OperationValueError(
            f"kubenode_runtime {name!r}: kubenode sets up {', '.join(_SET_UP)} so far"
        )
    return _SET_UP[name]


def _installs_kubernetes(node: settings.NodeSettings) -> bool:
    return node.kubernetes_source is not None


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
    runtime = _set_up_by(node.runtime)
    with joint_reading.announced(
        [
            (Platform, {}),
            *runtime.installed_by(node),
            *_swap_read_by(node),
            *([(Prerequisites, {})] if node.wants_prerequisites else []),
            (KernelModules, {"modules": node.modules, "persist_file": node.modules_file}),
            (Sysctls, {"keys": list(node.sysctls), "persist_file": node.sysctls_file}),
            *runtime.configured_by(node),
            *([(KubeletFiles, {})] if node.kubelet is not None else []),
            *(kubernetes.facts(node.kubernetes_packages) if _installs_kubernetes(node) else []),
        ]
    ):
        platform.supported(
            name="Can this host be a node?",
            cgroup_driver=node.cgroup_driver,
            kubernetes_version=node.kubernetes_version,
            runtime=node.runtime,
        )
        # first of what changes anything: a source may have nothing that this node can use
        runtime.install(node)
        _set_swap(node)
        if node.wants_prerequisites:
            # before the modules: EL 10 has br_netfilter in a package of its own
            packages.prerequisites(
                name="What kubelet and kubeadm use is there",
                kubernetes_version=node.kubernetes_version,
                profiles=node.profiles,
            )
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
        if _installs_kubernetes(node) and node.kubernetes_version is not None:
            # behind the runtime: kubelet does not start without one
            kubernetes.installed(
                name="Kubernetes' packages are installed",
                version=node.kubernetes_version,
                source=node.kubernetes_source,
                packages=node.kubernetes_packages,
                hold=node.kubernetes_hold,
            )
        if node.kubelet is not None:
            # behind the runtime: the driver is the same on both sides
            kubelet.configured(
                name="kubelet is configured",
                settings={"cgroupDriver": node.cgroup_driver, **node.kubelet},
                change_driver_under_pods=node.change_driver_under_pods,
            )


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
