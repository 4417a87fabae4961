"""What keeps Docker Engine and cri-dockerd enabled, running and serving CRI."""

from __future__ import annotations

import shlex

from kubenode.linux.unit import Unit
from kubenode.runtimes.docker import cri_dockerd
from kubenode.runtimes.docker.state import State
from kubenode.runtimes.restart import Restart, postponed
from kubenode.runtimes.upkeep import (
    Blocked,
    Step,
    Upkeep,
    enabled,
    reloaded,
    started,
    upkeep_of,
    usable,
)

ENGINE = "docker.service"


def upkeep(state: State, restart: Restart | None = None) -> Upkeep:
    """
    The commands after which Docker Engine and cri-dockerd run with what is on disk, now and after
    the next boot.

    + state: what the host says of them
    + restart: when they may be restarted, see :mod:`kubenode.runtimes.restart`. Containers survive
      a restart of Docker Engine only where it runs with live-restore
    """
    try:
        units = _units(state)
        steps = reloaded(units)
        for name, unit in units.items():
            steps += enabled(name, unit)
        waits = None
        engine = units[ENGINE]
        if not engine.runs:
            steps.append(started(ENGINE, engine))
        elif _is_due(state):
            waits = postponed(restart, state.restarted, pods_survive=state.live_restore is True)
            if waits is None:
                steps.append(_restarted(state))
        if not any("restart" in command for step in steps for command in step.commands):
            steps += _cri_dockerd(state, units)
    except Blocked as blocked:
        return Upkeep(blocked=str(blocked))
    return upkeep_of(steps, waits or None)


def _units(state: State) -> dict[str, Unit]:
    socket = cri_dockerd.SOCKETS[state.service]
    found = {ENGINE: state.engine, socket: state.cri_socket_unit, state.service: state.cri_unit}
    units = {name: usable(name, unit) for name, unit in found.items()}
    if why := state.distrusted or state.config_error:
        raise Blocked(why)
    if state.in_both:
        raise Blocked(
            f"{', '.join(state.in_both)}: in daemon.json and on the command line of docker.service"
        )
    return units


def _is_due(state: State) -> bool:
    return bool(state.restart_pending or state.clock_set_back)


def _restarted(state: State) -> Step:
    command = f"systemctl restart {ENGINE} {state.service}"
    if changed := state.clock_set_back:
        quoted = " ".join(map(shlex.quote, changed))
        return Step(
            f"the clock was set back, and {', '.join(changed)} is of the future: restart",
            (f"touch -c -- {quoted}", command),
        )
    changed = state.restart_pending or ()
    return Step(f"restart Docker Engine: {', '.join(changed)} changed after it started", (command,))


def _cri_dockerd(state: State, units: dict[str, Unit]) -> list[Step]:
    name = state.service
    unit = units[name]
    if not unit.runs:
        return [started(name, unit)]
    if state.older_than_engine:
        return [
            Step(
                f"restart {name}: it began before Docker Engine did, and tells kubelet the cgroup "
                "driver of that time",
                (f"systemctl restart {name}",),
            )
        ]
    if state.cri == "down":
        return [Step(f"{name} is active and CRI does not answer: wait for it", (":",))]
    return []
