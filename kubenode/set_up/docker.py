"""Docker Engine with cri-dockerd, and MCR, as prepare sets them up."""

from __future__ import annotations

from kubenode.facts.crictl import Crictl
from kubenode.facts.docker import Docker, DockerFiles, DockerPackage
from kubenode.operations import docker
from kubenode.runtimes.runtime import MCR
from kubenode.set_up.set_up import SetUp
from kubenode.settings import DEFAULTS, NodeSettings


def _install(node: NodeSettings) -> None:
    docker.installed(
        name="Docker Engine and cri-dockerd are installed",
        source="mcr" if _takes_mcr(node) else node.docker_source,
        version=node.docker_version,
        hold=node.docker_hold,
        cri_dockerd=node.cri_dockerd_source,
        kubernetes_version=node.kubernetes_version,
        restart=node.restart,
        replace_runtime=node.replace_runtime,
        fetched_by=node.containerd_fetched_by,
        mcr_channel=node.mcr_channel,
        mcr_licence=node.mcr_licence,
    )


def _takes_mcr(node: NodeSettings) -> bool:
    return node.runtime == MCR.name and node.docker_source == DEFAULTS.docker_source


def _configure(node: NodeSettings) -> None:
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
        replace_runtime=node.replace_runtime,
    )
    docker.running(
        name="cri-dockerd serves CRI", restart=node.restart, replace_runtime=node.replace_runtime
    )


SET_UP = SetUp(
    lambda node: [(DockerPackage, {})],
    _install,
    lambda node: [(DockerFiles, {}), (Crictl, {}), (Docker, {})],
    _configure,
)
