"""What keeps a runtime's units enabled and active, as far as all runtimes have it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kubenode.linux.unit import Unit, can_be_enabled, starts_at_boot, why_not_at_boot


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


class Blocked(Exception):
    """Nothing may be done, and why."""


@dataclass(frozen=True)
class Step:
    """A sentence, and the commands that it explains."""

    explained: str
    commands: tuple[str, ...]


def upkeep_of(steps: Iterable[Step], postponed: str | None) -> Upkeep:
    """These steps, one after the other.

    + steps: in their order
    + postponed: see :class:`Upkeep`
    """
    steps = tuple(steps)
    return Upkeep(
        tuple(command for step in steps for command in step.commands),
        tuple(step.explained for step in steps),
        postponed=postponed,
    )


def usable(name: str, unit: Unit | None) -> Unit:
    """The unit; Blocked when systemd cannot start it.

    + name: of the unit
    + unit: as systemd has it
    """
    if unit is None or unit.load != "loaded":
        why = f"its unit is {unit.load}" if unit else "systemd does not know it"
        raise Blocked(f"{name} cannot be kept running: {why}")
    return unit


def reloaded(units: Mapping[str, Unit]) -> list[Step]:
    """systemd is reloaded where one of these was changed on disk.

    + units: by name
    """
    stale = [name for name, unit in units.items() if unit.needs_daemon_reload]
    if not stale:
        return []
    return [
        Step(f"{', '.join(stale)} changed on disk: reload systemd", ("systemctl daemon-reload",))
    ]


def enabled(name: str, unit: Unit) -> list[Step]:
    """The unit starts at boot; Blocked when it cannot be made to.

    + name: of the unit
    + unit: as systemd has it
    """
    if starts_at_boot(unit.enabled, unit.wanted_by):
        return []
    if not can_be_enabled(unit.enabled):
        why = why_not_at_boot(name, unit.enabled, unit.wanted_by)
        raise Blocked(f"{why}: `systemctl add-wants multi-user.target {name}` makes it")
    return [
        Step(
            f"{name}: {unit.enabled} -> enabled (links in /etc/systemd/system)",
            (f"systemctl enable {name}",),
        )
    ]


def started(name: str, unit: Unit) -> Step:
    """The unit is started, also one that systemd has given up.

    + name: of the unit
    + unit: as systemd has it
    """
    return Step(
        f"{name}: {unit.active} -> active",
        (f"systemctl reset-failed {name}", f"systemctl start {name}"),
    )
