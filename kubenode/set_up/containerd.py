"""containerd, as prepare sets it up."""

from __future__ import annotations

from kubenode.facts.containerd import Containerd
from kubenode.facts.containerd_service import ContainerdService
from kubenode.operations import containerd, containerd_program
from kubenode.set_up.set_up import Read, SetUp
from kubenode.settings import NodeSettings


def _install(node: NodeSettings) -> None:
    containerd.installed(
        name="containerd is installed",
        version=node.containerd_version,
        source=node.containerd_source,
        fetched_by=node.containerd_fetched_by,
        hold=node.containerd_hold,
        kubernetes_version=node.kubernetes_version,
        restart=node.restart,
        replace_runtime=node.replace_runtime,
    )


def _states_service(node: NodeSettings) -> bool:
    return node.proxy is not None or node.limit_nofile is not None


def _configured_by(node: NodeSettings) -> list[Read]:
    service: list[Read] = [(ContainerdService, {})] if _states_service(node) else []
    return [*containerd.facts_of(node.containerd_handlers), *service, (Containerd, {})]


def _configure(node: NodeSettings) -> None:
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
        replace_runtime=node.replace_runtime,
    )
    if node.registry_hosts:
        containerd.registry_hosts(
            name="containerd knows its registries",
            registries=node.registry_hosts,
            restart=node.restart,
            replace_runtime=node.replace_runtime,
        )
    if _states_service(node):
        containerd.service(
            name="containerd has its proxies and limits",
            proxy=node.proxy,
            limit_nofile=node.limit_nofile,
            restart=node.restart,
            replace_runtime=node.replace_runtime,
        )
    containerd.running(
        name="containerd serves CRI",
        change_driver_under_pods=node.change_driver_under_pods,
        restart=node.restart,
        replace_runtime=node.replace_runtime,
    )


SET_UP = SetUp(
    lambda node: containerd_program.facts(node.containerd_source),
    _install,
    _configured_by,
    _configure,
)
