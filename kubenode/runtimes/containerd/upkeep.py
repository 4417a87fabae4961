"""What keeps containerd enabled, running and serving CRI with the files that are on disk."""

from __future__ import annotations

import shlex

from kubenode.linux.unit import Unit
from kubenode.runtimes.containerd.state import State
from kubenode.runtimes.restart import Restart, postponed
from kubenode.runtimes.runtime import CONTAINERD
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

(UNIT,) = CONTAINERD.units


def upkeep(
    state: State, change_driver_under_pods: bool = False, restart: Restart | None = None
) -> Upkeep:
    """
    The commands after which containerd runs with what its files say, now and after the next boot.

    + state: what the host says of it
    + change_driver_under_pods: restart a daemon whose configuration was edited although pods of
      the other cgroup driver run
    + restart: when it may be restarted, see :mod:`kubenode.runtimes.restart`

    **Example:**

    .. code:: python

        upkeep(state).steps  # ("systemctl enable containerd.service",)
    """
    try:
        unit = _usable_unit(state)
        waits = _is_due(state, unit) and postponed(restart, state.pods_count, state.pods_survive)
        active = [] if waits else _active(state, unit, change_driver_under_pods)
        steps = [*reloaded({UNIT: unit}), *enabled(UNIT, unit), *active]
    except Blocked as blocked:
        return Upkeep(blocked=str(blocked))
    return upkeep_of(steps, waits or None)


def _is_due(state: State, unit: Unit) -> bool:
    """Whether the daemon runs, and has to be restarted."""
    due = state.restart_pending or state.clock_set_back or state.replaced
    return unit.active == "active" and bool(due)


def _usable_unit(state: State) -> Unit:
    unit = usable(UNIT, state.unit)
    if state.error:
        raise Blocked(state.error)
    if not state.has_ctr:
        raise Blocked("ctr is missing, which comes with containerd: cannot ask CRI")
    return unit


def _active(state: State, unit: Unit, change_driver_under_pods: bool) -> list[Step]:
    if unit.active != "active":
        return [started(UNIT, unit)]
    if _is_due(state, unit):
        return [_restarted(state, change_driver_under_pods)]
    if state.cri == "disabled":
        raise Blocked(
            "containerd runs without CRI: its plugin is disabled or failed, containerd.configured "
            "switches it on; otherwise see `journalctl -u containerd` on the host"
        )
    if state.cri != "serving":
        return [Step(f"containerd.service is active and CRI is {state.cri}: wait for it", (":",))]
    return []


def _restarted(state: State, change_driver_under_pods: bool) -> Step:
    drivers = {handler.driver for handler in state.handlers.values()} - {None}
    others = (state.pods_of_other_driver(str(each)) for each in drivers)
    running = next(filter(None, others), None)
    if running and not change_driver_under_pods:
        raise Blocked(f"containerd waits for a restart, and {running}")
    restart = "systemctl restart containerd.service"
    if changed := state.clock_set_back:
        # of a file, not of the socket: that is made when containerd starts
        quoted = [shlex.quote(path) for path in changed if path != state.socket]
        touch = (f"touch -c -- {' '.join(quoted)}",) if quoted else ()
        return Step(
            f"the clock was set back: whether containerd has read {', '.join(changed)} cannot "
            "be told; their time becomes now, and containerd is restarted",
            (*touch, restart),
        )
    what = ", ".join(state.waits_for_restart)
    return Step(f"restart containerd: {what} changed after it started", (restart,))
