"""What keeps containerd enabled, running and serving CRI with the files that are on disk."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from kubenode.linux.unit import can_be_enabled, starts_at_boot, why_not_at_boot
from kubenode.runtimes.containerd.state import State, Unit
from kubenode.runtimes.restart import Restart, postponed


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
        steps = [*_enabled(unit), *active]
    except _Blocked as blocked:
        return Upkeep(blocked=str(blocked))
    return Upkeep(
        tuple(command for step in steps for command in step.commands),
        tuple(step.explained for step in steps),
        postponed=waits or None,
    )


def _is_due(state: State, unit: Unit) -> bool:
    """Whether the daemon runs, and has to be restarted."""
    due = state.restart_pending or state.clock_set_back or state.replaced
    return unit.active == "active" and bool(due)


def _usable_unit(state: State) -> Unit:
    unit = state.unit
    if unit is None or unit.load != "loaded":
        why = f"its unit is {unit.load}" if unit else "systemd does not know it"
        raise _Blocked(f"containerd.service cannot be kept running: {why}")
    if state.error:
        raise _Blocked(state.error)
    if not state.has_ctr:
        raise _Blocked("ctr is missing, which comes with containerd: cannot ask CRI")
    return unit


def _enabled(unit: Unit) -> list[_Step]:
    steps = []
    if unit.needs_daemon_reload:
        steps.append(
            _Step(
                "containerd.service changed on disk: reload systemd", ("systemctl daemon-reload",)
            )
        )
    starts = starts_at_boot(unit.enabled, unit.wanted_by)
    if not starts and not can_be_enabled(unit.enabled):
        why = why_not_at_boot("containerd.service", unit.enabled, unit.wanted_by)
        raise _Blocked(
            f"{why}: `systemctl add-wants multi-user.target containerd.service` makes it"
        )
    if not starts:
        steps.append(
            _Step(
                f"containerd.service: {unit.enabled} -> enabled (links in /etc/systemd/system)",
                ("systemctl enable containerd.service",),
            )
        )
    return steps


def _active(state: State, unit: Unit, change_driver_under_pods: bool) -> list[_Step]:
    if unit.active != "active":
        return [
            _Step(
                f"containerd.service: {unit.active} -> active",
                (
                    "systemctl reset-failed containerd.service",
                    "systemctl start containerd.service",
                ),
            )
        ]
    if _is_due(state, unit):
        return [_restarted(state, change_driver_under_pods)]
    if state.cri == "disabled":
        raise _Blocked(
            "containerd runs without CRI: its plugin is disabled or failed, containerd.configured "
            "switches it on; otherwise see `journalctl -u containerd` on the host"
        )
    if state.cri != "serving":
        return [_Step(f"containerd.service is active and CRI is {state.cri}: wait for it", (":",))]
    return []


def _restarted(state: State, change_driver_under_pods: bool) -> _Step:
    drivers = {handler.driver for handler in state.handlers.values()} - {None}
    pods = next(filter(None, (state.pods_of_other_driver(str(each)) for each in drivers)), None)
    if pods and not change_driver_under_pods:
        raise _Blocked(f"containerd waits for a restart, and {pods}")
    restart = "systemctl restart containerd.service"
    if changed := state.clock_set_back:
        # of a file, not of the socket: that is made when containerd starts
        quoted = [shlex.quote(path) for path in changed if path != state.socket]
        touch = (f"touch -c -- {' '.join(quoted)}",) if quoted else ()
        return _Step(
            f"the clock was set back: whether containerd has read {', '.join(changed)} cannot "
            "be told; their time becomes now, and containerd is restarted",
            (*touch, restart),
        )
    what = ", ".join(state.waits_for_restart)
    return _Step(f"restart containerd: {what} changed after it started", (restart,))
