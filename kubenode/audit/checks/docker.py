"""What only Docker Engine has: cri-dockerd, keys that are flags too, and restarts that end pods."""

from __future__ import annotations

from collections.abc import Callable

from kubenode.audit.checks import unit
from kubenode.audit.checks.check import (
    Check,
    Evidence,
    Subject,
    Verdict,
    met,
    not_applicable,
    unknown,
    violated,
)
from kubenode.audit.checks.references import (
    CONFIG_APPLIED,
    CRI_DOCKERD,
    CRI_SERVING,
    RUNTIME_CONFIG,
)
from kubenode.audit.checks.runtime_in_use import in_use
from kubenode.facts.docker import DockerShape
from kubenode.runtimes.docker import cri_dockerd, releases
from kubenode.runtimes.runtime import DOCKER


def _of_docker(
    judge: Callable[[Subject, DockerShape], Verdict],
) -> Callable[[Subject], Verdict]:
    """A judge that is asked only about hosts with Docker Engine as their runtime."""

    def judge_docker(subject: Subject) -> Verdict:
        row = subject.runtime_row
        if row is not DOCKER:
            return not_applicable(f"the runtime is {row.cri}")
        runtime = in_use(subject)
        return runtime if isinstance(runtime, Verdict) else judge(subject, subject.docker)

    return judge_docker


def _cri_dockerd(_: Subject, docker: DockerShape) -> Verdict:
    own = docker["cri_dockerd"]
    if own["binary"] is None:
        return violated("there is no cri-dockerd")
    if own["unit"] is None or own["socket_unit"] is None:
        names = f"{own['service']} and {cri_dockerd.SOCKETS[own['service']]}"
        return violated(f"{own['binary']}, and systemd does not know {names}")
    return met(f"{own['binary']}, version {own['version'] or 'unknown'}")


def _cri_dockerd_unit(subject: Subject) -> unit.Unit | Verdict:
    def find(_: Subject, docker: DockerShape) -> Verdict:
        if docker["cri_dockerd"]["unit"] is None:
            return not_applicable(f"there is none, {CRI_DOCKERD}")
        return met("")

    verdict = _of_docker(find)(subject)
    if verdict.outcome != "met":
        return verdict
    own = subject.docker["cri_dockerd"]
    shape = own["unit"]
    assert shape is not None
    return unit.of_shape(own["service"], shape)


def _keys(_: Subject, docker: DockerShape) -> Verdict:
    path = docker["config"]["path"]
    if docker["in_both"]:
        return violated(
            f"{', '.join(docker['in_both'])}: in {path}, and a flag of docker.service",
            *(_evidence(docker, key) for key in docker["in_both"]),
        )
    if docker["unknown_keys"]:
        return violated(
            f"no release knows {', '.join(docker['unknown_keys'])}",
            *(_evidence(docker, key) for key in docker["unknown_keys"]),
        )
    if docker["config"]["error"]:
        return not_applicable(str(RUNTIME_CONFIG))
    return met(", ".join(docker["stated"]) or "none")


def _evidence(docker: DockerShape, key: str) -> Evidence:
    stated = docker["stated"].get(key)
    if stated is None:
        return Evidence(key, docker["config"]["path"])
    return Evidence(key, stated["place"]["file"], stated["place"]["line"])


def _driver_in_force(_: Subject, docker: DockerShape) -> Verdict:
    engine, stated = docker["engine"], docker["stated_driver"]
    if engine is None:
        if docker["asked"] == "down":
            return not_applicable(f"Docker Engine does not run, {CRI_SERVING}")
        return unknown("Docker Engine does not say")
    if stated is None or engine["driver"] is None or stated == engine["driver"]:
        return met(f"{engine['driver']}")
    if docker["restart_pending"]:
        return not_applicable(f"it runs with {engine['driver']}, {CONFIG_APPLIED}")
    place = docker["driver_place"]
    return violated(
        f"it runs with {engine['driver']}, and {stated} is stated",
        *([Evidence(stated, place["file"], place["line"])] if place else []),
    )


def _live_restore(_: Subject, docker: DockerShape) -> Verdict:
    engine = docker["engine"]
    if engine is None or engine["live_restore"] is None:
        if docker["asked"] == "down":
            return not_applicable(f"Docker Engine does not run, {CRI_SERVING}")
        return unknown("Docker Engine does not say")
    if engine["live_restore"]:
        return met("live-restore is on")
    if engine["swarm"]:
        return not_applicable("part of a Swarm, which live-restore excludes")
    stated = docker["stated"].get("live-restore")
    return violated(
        "live-restore is off",
        *([_evidence(docker, "live-restore")] if stated else []),
    )


def _fits(subject: Subject, docker: DockerShape) -> Verdict:
    own = docker["cri_dockerd"]["version"]
    if docker["cri_dockerd"]["binary"] is None:
        return not_applicable(f"there is none, {CRI_DOCKERD}")
    if own is None:
        return unknown("cri-dockerd does not say its version")
    found = releases.misfits(own, docker["installed"]["version"], subject.aim.kubernetes)
    if not found:
        return met(f"cri-dockerd {own}, Docker Engine {docker['installed']['version']}")
    return violated(
        "; ".join(misfit.what for misfit in found),
        severity="fail" if any(misfit.breaks for misfit in found) else "warn",
    )


def _restarted(_: Subject, docker: DockerShape) -> Verdict:
    own = docker["cri_dockerd"]
    if own["runs_with"] is None:
        return not_applicable(f"cri-dockerd does not run, {CRI_SERVING}")
    if own["older_than_engine"] is None:
        return unknown("it cannot be told when they started")
    if own["older_than_engine"]:
        return violated("cri-dockerd began before Docker Engine did")
    return met("cri-dockerd began after Docker Engine")


_UNITS = "https://github.com/Mirantis/cri-dockerd/tree/master/packaging/systemd"

CHECKS = (
    Check(
        id="docker.cri-dockerd",
        title="cri-dockerd is installed, with its two units",
        severity="fail",
        expected="cri-dockerd, cri-docker.service and cri-docker.socket",
        why="Docker Engine does not speak CRI: without cri-dockerd kubelet cannot use it. The "
        "archives of its releases have no units.",
        judge=_of_docker(_cri_dockerd),
        remedy="kubenode.node.prepare with kubenode_cri_dockerd_source, or docker.installed()",
        operation="docker.installed",
        sources=(_UNITS,),
    ),
    unit.at_boot(
        "docker",
        "cri-dockerd",
        "fail",
        _cri_dockerd_unit,
        expected="its service enabled, or wanted by another unit",
        why="Docker Engine comes back after a boot, and nobody answers kubelet for it.",
        remedy="kubenode.node.prepare, or docker.running()",
        operation="docker.running",
        sources=(_UNITS,),
    ),
    Check(
        id="docker.keys",
        title="daemon.json has only keys that dockerd starts with",
        severity="fail",
        expected="keys that dockerd knows, none of which is a flag of docker.service",
        why="dockerd ends at its start with a key that it does not know, and with one that is on "
        "its command line too, such as hosts. The engine that runs goes on until the next boot.",
        judge=_of_docker(_keys),
        remedy="remove the key, or the flag by a drop-in of docker.service",
        sources=("https://docs.docker.com/engine/daemon/troubleshoot/",),
    ),
    Check(
        id="docker.driver-in-force",
        title="Docker Engine runs with the cgroup driver that is stated",
        severity="fail",
        expected="the driver of daemon.json",
        why="The driver counts from the next restart on. Until then kubelet and Docker may agree "
        "or not, and after the next boot it is the other way round.",
        judge=_of_docker(_driver_in_force),
        remedy="drain the node, then kubenode.node.prepare, or docker.running(): it restarts both",
        operation="docker.running",
    ),
    Check(
        id="docker.live-restore",
        title="Containers survive a restart of Docker Engine",
        severity="warn",
        expected="live-restore: true",
        why="Without live-restore a restart of the daemon, as by an upgrade of its package, stops "
        "all pods of the node.",
        judge=_of_docker(_live_restore),
        remedy="kubenode.node.prepare, or docker.configured(live_restore=True)",
        operation="docker.configured",
        sources=("https://docs.docker.com/engine/daemon/live-restore/",),
    ),
    Check(
        id="docker.cri-dockerd-fits",
        title="cri-dockerd fits Docker Engine and Kubernetes",
        severity="warn",
        expected="a release of cri-dockerd that talks to both",
        why="cri-dockerd speaks one version of Docker's API and one of CRI. Some releases do not "
        "start with some engines, and some functions of kubectl fail with newer Kubernetes.",
        judge=_of_docker(_fits),
        remedy="kubenode.node.prepare with another kubenode_cri_dockerd_source, or "
        "docker.installed()",
        operation="docker.installed",
        sources=releases.SOURCES,
    ),
    Check(
        id="docker.cri-dockerd-restarted",
        title="cri-dockerd was started after Docker Engine",
        severity="warn",
        expected="a cri-dockerd that began after the engine's last start",
        why="It asks the engine for its cgroup driver once. After a change of the driver and a "
        "restart of the engine alone it tells kubelet the old one, and pods' limits do not hold.",
        judge=_of_docker(_restarted),
        remedy="kubenode.node.prepare, or docker.running(): it stops no container",
        operation="docker.running",
        sources=("https://github.com/Mirantis/cri-dockerd/blob/master/core/docker_service.go",),
    ),
)
