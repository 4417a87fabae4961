"""What operations on Docker Engine make of the facts they read."""

from __future__ import annotations

from kubenode.facts.docker import DockerShape
from kubenode.linux.cgroups import Driver
from kubenode.linux.unit import UnitShape, unit_of
from kubenode.runtimes.config_swap import Daemon
from kubenode.runtimes.docker import proof
from kubenode.runtimes.docker.state import State
from kubenode.runtimes.program_change import Service

CANNOT_TELL = "cannot tell how Docker Engine is configured, see the lines above"


def missing(shape: DockerShape) -> str | None:
    """What is not installed of the two; None when both are."""
    if not shape["installed"]["binary"]:
        return "Docker Engine"
    return None if shape["cri_dockerd"]["binary"] else "cri-dockerd"


def state(shape: DockerShape) -> State:
    engine, cri, pods = shape["engine"], shape["cri_dockerd"], shape["pods"]
    pending = shape["restart_pending"]
    return State(
        version=shape["installed"]["version"],
        config_error=shape["config"]["error"],
        exists=shape["config"]["exists"],
        unknown_keys=tuple(shape["unknown_keys"]),
        in_both=tuple(shape["in_both"]),
        flags=None if shape["flags"] is None else tuple(shape["flags"]),
        stated_driver=shape["stated_driver"],
        asked=shape["asked"],
        driver=engine["driver"] if engine else None,
        storage_driver=engine["storage_driver"] if engine else None,
        live_restore=engine["live_restore"] if engine else None,
        containers=engine["containers_running"] if engine else None,
        swarm=engine["swarm"] if engine else None,
        cri=shape["cri"],
        socket=shape["socket"],
        engine=unit_of(shape["unit"]),
        service=cri["service"],
        cri_unit=unit_of(cri["unit"]),
        cri_socket_unit=unit_of(cri["socket_unit"]),
        program=cri["binary"],
        words=tuple(cri["words"]),
        older_than_engine=cri["older_than_engine"],
        pods=None if pods is None else {"systemd": pods["systemd"], "cgroupfs": pods["cgroupfs"]},
        restart_pending=None if pending is None else tuple(pending),
        clock_set_back=tuple(shape["clock_set_back"]),
    )


def daemon_of(shape: DockerShape, driver: Driver | None = None, *, engine: bool = True) -> Daemon:
    """What the scripts have to know.

    + shape: what the host says
    + driver: the cgroup driver that it has to have afterwards
    + engine: whether the engine is restarted, or cri-dockerd alone
    """
    return proof.daemon(
        shape["cri_dockerd"]["service"],
        shape["socket"],
        shape["flags"] or (),
        driver,
        with_engine=engine,
    )


def service_of(unit: UnitShape | None, shape: DockerShape) -> Service:
    """What a unit did before its program is changed.

    + unit: the engine's or cri-dockerd's
    + shape: what the host says
    """
    return Service(
        is_enabled=unit is not None and unit["enabled"] == "enabled",
        is_active=unit is not None and unit["active"] in ("active", "activating", "reloading"),
        serves=shape["cri"] == "serving",
        is_masked=unit is not None and unit["load"] == "masked",
    )
