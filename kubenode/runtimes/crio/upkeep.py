"""What keeps CRI-O enabled, running and serving with the files that are on disk."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from kubenode.linux.unit import can_be_enabled, starts_at_boot, why_not_at_boot
from kubenode.runtimes.crio.state import State, Unit
from kubenode.runtimes.restart import Restart, postponed
from kubenode.runtimes.runtime import CRIO

(UNIT,) = CRIO.units


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


@dataclass(frozen=True)
class _Step:
    explained: str
    commands: tuple[str, ...]


def upkeep(
    state: State,
    error: str | None,
    after_restart: str | None,
    change_driver_under_pods: bool = False,
    restart: Restart | None = None,
) -> Upkeep:
    """
    The commands after which CRI-O runs with what its files say, now and after the next boot.

    + state: what the host says of it
    + error: why CRI-O cannot use its files
    + after_restart: the driver that its files bring at a restart
    + change_driver_under_pods: restart a daemon whose driver was edited although pods of the other
      one run
    + restart: when it may be restarted, see :mod:`kubenode.runtimes.restart`

    **Example:**

    .. code:: python

        upkeep(state, None, "systemd").steps  # ("systemctl enable crio.service",)
    """
    try:
        unit = _usable_unit(state, error)
        due = unit.active == "active" and bool(state.restart_pending or state.clock_set_back)
        waits = due and postponed(restart, state.pods_count)
        steps = _enabled(unit)
        if unit.active != "active":
            steps.append(_started(unit))
        elif due and not waits:
            steps.append(_restarted(state, after_restart, change_driver_under_pods))
        elif not due:
            steps += _reloaded(state)
    except _Blocked as blocked:
        return Upkeep(blocked=str(blocked))
    return Upkeep(
        tuple(command for step in steps for command in step.commands),
        tuple(step.explained for step in steps),
        postponed=waits or None,
    )


def _usable_unit(state: State, error: str | None) -> Unit:
    unit = state.unit
    if unit is None or unit.load != "loaded":
        why = f"its unit is {unit.load}" if unit else "systemd does not know it"
        raise _Blocked(f"{UNIT} cannot be kept running: {why}")
    if error:
        raise _Blocked(error)
    return unit


def _enabled(unit: Unit) -> list[_Step]:
    steps = []
    if unit.needs_daemon_reload:
        reload = ("systemctl daemon-reload",)
        steps.append(_Step(f"{UNIT} changed on disk: reload systemd", reload))
    starts = starts_at_boot(unit.enabled, unit.wanted_by)
    if not starts and not can_be_enabled(unit.enabled):
        why = why_not_at_boot(UNIT, unit.enabled, unit.wanted_by)
        raise _Blocked(f"{why}: `systemctl add-wants multi-user.target {UNIT}` makes it")
    if not starts:
        steps.append(
            _Step(
                f"{UNIT}: {unit.enabled} -> enabled (links in /etc/systemd/system)",
                (f"systemctl enable {UNIT}",),
            )
        )
    return steps


def _started(unit: Unit) -> _Step:
    return _Step(
        f"{UNIT}: {unit.active} -> active",
        (f"systemctl reset-failed {UNIT} 2>/dev/null || :", f"systemctl start {UNIT}"),
    )


def _restarted(state: State, driver: str | None, change_driver_under_pods: bool) -> _Step:
    pods = state.pods_of_other_driver(driver) if driver and driver != state.driver else None
    if pods and not change_driver_under_pods:
        raise _Blocked(f"CRI-O waits for a restart, and {pods}")
    restart = f"systemctl restart {UNIT}"
    if changed := state.clock_set_back:
        quoted = [shlex.quote(path) for path in changed if not path.endswith(".sock")]
        touch = (f"touch -c -- {' '.join(quoted)}",) if quoted else ()
        return _Step(
            f"the clock was set back: whether CRI-O has read {', '.join(changed)} cannot be told; "
            "their time becomes now, and CRI-O is restarted",
            (*touch, restart),
        )
    changed = state.restart_pending or ()
    return _Step(f"restart CRI-O: it has not what {', '.join(changed)} says", (restart,))


def _reloaded(state: State) -> list[_Step]:
    if state.reload_pending:
        changed = ", ".join(state.reload_pending)
        return [
            _Step(f"reload CRI-O: it has not what {changed} says", (f"systemctl reload {UNIT}",))
        ]
    if state.cri == "serving":
        return []
    # what starts it is done, and nothing answers: the wait says why
    return [_Step(f"CRI is {state.cri}: wait for it", (":",))]
