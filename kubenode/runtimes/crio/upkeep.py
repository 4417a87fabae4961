"""What keeps CRI-O enabled, running and serving with the files that are on disk."""

from __future__ import annotations

import shlex

from kubenode.linux.unit import Unit
from kubenode.runtimes.crio.state import State
from kubenode.runtimes.restart import Restart, postponed
from kubenode.runtimes.runtime import CRIO
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

(UNIT,) = CRIO.units


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
        steps = [*reloaded({UNIT: unit}), *enabled(UNIT, unit)]
        if unit.active != "active":
            steps.append(started(UNIT, unit))
        elif due and not waits:
            steps.append(_restarted(state, after_restart, change_driver_under_pods))
        elif not due:
            steps += _reloaded(state)
    except Blocked as blocked:
        return Upkeep(blocked=str(blocked))
    return upkeep_of(steps, waits or None)


def _usable_unit(state: State, error: str | None) -> Unit:
    unit = usable(UNIT, state.unit)
    if error:
        raise Blocked(error)
    return unit


def _restarted(state: State, driver: str | None, change_driver_under_pods: bool) -> Step:
    changes = driver is not None and driver != state.driver
    running = state.pods_of_other_driver(str(driver)) if changes else None
    if running and not change_driver_under_pods:
        raise Blocked(f"CRI-O waits for a restart, and {running}")
    restart = f"systemctl restart {UNIT}"
    if changed := state.clock_set_back:
        quoted = [shlex.quote(path) for path in changed if not path.endswith(".sock")]
        touch = (f"touch -c -- {' '.join(quoted)}",) if quoted else ()
        return Step(
            f"the clock was set back: whether CRI-O has read {', '.join(changed)} cannot be told; "
            "their time becomes now, and CRI-O is restarted",
            (*touch, restart),
        )
    changed = state.restart_pending or ()
    return Step(f"restart CRI-O: it has not what {', '.join(changed)} says", (restart,))


def _reloaded(state: State) -> list[Step]:
    if state.reload_pending:
        changed = ", ".join(state.reload_pending)
        return [
            Step(f"reload CRI-O: it has not what {changed} says", (f"systemctl reload {UNIT}",))
        ]
    if state.cri == "serving":
        return []
    # what starts it is done, and nothing answers: the wait says why
    return [Step(f"CRI is {state.cri}: wait for it", (":",))]
