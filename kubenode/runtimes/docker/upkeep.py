"""What keeps Docker Engine and cri-dockerd enabled, running and serving CRI."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from kubenode.linux.unit import can_be_enabled, starts_at_boot, why_not_at_boot
from kubenode.runtimes.docker import cri_dockerd
from kubenode.runtimes.docker.state import State, Unit
from kubenode.runtimes.restart import Restart, postponed

ENGINE = "docker.service"


@dataclass(frozen=True)
class Upkeep:
    """What to run, or why not to.

    + steps: commands, in their order; none when all is as it should be
    + explained: what they change, a sentence each
    + blocked: why nothing may be done
    + postponed: why a restart that is due is none of the steps
    """

    steps: tuple[str, ...] = ()
    explained: tuple[str, ...] = ()
    blocked: str | None = None
    postponed: str | None = None


class _Blocked(Exception):
    """Nothing may be done."""


_Steps = list[tuple[str, tuple[str, ...]]]


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
        steps = [*_reloaded(units), *_enabled(units)]
        waits = None
        engine = units[ENGINE]
        if not engine.runs:
            steps.append(_started(ENGINE, engine))
        elif _is_due(state):
            waits = postponed(restart, state.restarted, pods_survive=state.live_restore is True)
            if waits is None:
                steps.append(_restarted(state))
        if not any("restart" in command for _, commands in steps for command in commands):
            steps += _cri_dockerd(state, units)
    except _Blocked as blocked:
        return Upkeep(blocked=str(blocked))
    return Upkeep(
        tuple(command for _, commands in steps for command in commands),
        tuple(sentence for sentence, _ in steps),
        postponed=waits,
    )


def _units(state: State) -> dict[str, Unit]:
    socket = cri_dockerd.SOCKETS[state.service]
    found = {ENGINE: state.engine, socket: state.cri_socket_unit, state.service: state.cri_unit}
    units = {}
    for name, unit in found.items():
        if unit is None or unit.load != "loaded":
            why = f"it is {unit.load}" if unit else "systemd does not know it"
            raise _Blocked(f"{name} cannot be kept running: {why}")
        units[name] = unit
    if state.config_error:
        raise _Blocked(state.config_error)
    if state.in_both:
        raise _Blocked(
            f"{', '.join(state.in_both)}: in daemon.json and on the command line of docker.service"
        )
    return units


def _reloaded(units: dict[str, Unit]) -> _Steps:
    stale = [name for name, unit in units.items() if unit.needs_daemon_reload]
    if not stale:
        return []
    return [(f"{', '.join(stale)} changed on disk: reload systemd", ("systemctl daemon-reload",))]


def _enabled(units: dict[str, Unit]) -> _Steps:
    steps: _Steps = []
    for name, unit in units.items():
        if starts_at_boot(unit.enabled, unit.wanted_by):
            continue
        if not can_be_enabled(unit.enabled):
            raise _Blocked(why_not_at_boot(name, unit.enabled, unit.wanted_by))
        steps.append((f"{name}: {unit.enabled} -> enabled", (f"systemctl enable {name}",)))
    return steps


def _started(name: str, unit: Unit) -> tuple[str, tuple[str, ...]]:
    return (
        f"{name}: {unit.active} -> active",
        (f"systemctl reset-failed {name}", f"systemctl start {name}"),
    )


def _is_due(state: State) -> bool:
    return bool(state.restart_pending or state.clock_set_back)


def _restarted(state: State) -> tuple[str, tuple[str, ...]]:
    command = f"systemctl restart {ENGINE} {state.service}"
    if changed := state.clock_set_back:
        quoted = " ".join(map(shlex.quote, changed))
        return (
            f"the clock was set back, and {', '.join(changed)} is of the future: restart",
            (f"touch -c -- {quoted}", command),
        )
    changed = state.restart_pending or ()
    return f"restart Docker Engine: {', '.join(changed)} changed after it started", (command,)


def _cri_dockerd(state: State, units: dict[str, Unit]) -> _Steps:
    name = state.service
    unit = units[name]
    if not unit.runs:
        return [_started(name, unit)]
    if state.older_than_engine:
        return [
            (
                f"restart {name}: it began before Docker Engine did, and tells kubelet the cgroup "
                "driver of that time",
                (f"systemctl restart {name}",),
            )
        ]
    if state.cri == "down":
        return [(f"{name} is active and CRI does not answer: wait for it", (":",))]
    return []
