"""CRI-O, as prepare sets it up."""

from __future__ import annotations

from pyinfra import host, logger

from kubenode.facts.crictl import Crictl
from kubenode.facts.crio import Crio, CrioFiles
from kubenode.operations import crio, crio_program
from kubenode.run.pyinfra_internals import print_prefix
from kubenode.set_up.set_up import SetUp
from kubenode.settings import DEFAULTS, PREFIX, NodeSettings


def _install(node: NodeSettings) -> None:
    crio.installed(
        name="CRI-O is installed",
        version=node.crio_version,
        source=node.crio_source,
        hold=node.crio_hold,
        kubernetes_version=node.kubernetes_version,
        restart=node.restart,
        fetched_by=node.containerd_fetched_by,
        replace_runtime=node.replace_runtime,
    )


_OF_CONTAINERD = (
    "registry_hosts", "registry_config_path", "snapshotter", "proxy", "limit_nofile"
)  # fmt: skip
"""Settings that only containerd has an operation for."""


def _configure(node: NodeSettings) -> None:
    for name in _OF_CONTAINERD:
        if getattr(node, name) != getattr(DEFAULTS, name):
            logger.warning(
                f"{print_prefix(host)}{PREFIX}{name} is containerd's, and nothing is done "
                "of it for CRI-O"
            )
    crio.configured(
        name="CRI-O is configured",
        cgroup_driver=node.cgroup_driver,
        pause_image=node.pause_image,
        monitor_cgroup=node.crio_monitor_cgroup,
        default_runtime=node.crio_default_runtime,
        cni_bin_dirs=node.cni_bin_dirs,
        handlers=node.crio_handlers,
        change_driver_under_pods=node.change_driver_under_pods,
        restart=node.restart,
        replace_runtime=node.replace_runtime,
    )
    if node.crio_registries:
        crio.registries(
            name="CRI-O knows its registries",
            registries=node.crio_registries,
            replace_runtime=node.replace_runtime,
        )
    crio.running(
        name="CRI-O serves CRI",
        change_driver_under_pods=node.change_driver_under_pods,
        restart=node.restart,
        replace_runtime=node.replace_runtime,
    )


SET_UP = SetUp(
    lambda node: crio_program.facts(node.crio_source),
    _install,
    lambda node: [(CrioFiles, {}), (Crictl, {}), (Crio, {})],
    _configure,
)
