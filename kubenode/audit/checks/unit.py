"""The checks of systemd units, a function for each kind of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kubenode.audit.checks.check import (
    Check,
    Evidence,
    Severity,
    Subject,
    Verdict,
    met,
    not_applicable,
    unknown,
    violated,
)
from kubenode.linux.unit import UnitShape, starts_at_boot, why_not_at_boot


@dataclass(frozen=True)
class Unit:
    """A unit as systemd has it."""

    name: str
    load: str
    """``unknown`` when systemd did not answer."""
    enabled: str
    """``UnitFileState``."""
    wanted_by: Sequence[str] = ()
    needs_daemon_reload: bool = False
    files: tuple[str, ...] = ()


def of_shape(name: str, shape: UnitShape) -> Unit:
    """A unit of a runtime's fact."""
    return Unit(
        name,
        shape["load"],
        shape["enabled"],
        shape["wanted_by"],
        shape["needs_daemon_reload"],
        tuple(path for path in [shape["fragment"], *shape["drop_ins"]] if path),
    )


def missing(name: str) -> Verdict:
    """Of a check that the unit has to be there for."""
    return violated(f"there is no {name}")


def not_judged(name: str) -> Verdict:
    """Of a check that has nothing to say without the unit."""
    return not_applicable(f"there is no {name}")


Find = Callable[[Subject], Unit | Verdict]
"""The unit that a check is about, or why there is nothing to judge."""


def at_boot(topic: str, title: str, severity: Severity, unit: Find, **rest: Any) -> Check:
    """The check that a unit starts at boot.

    + topic: of the check's id
    + title: what starts
    + severity: of a host where it does not
    + unit: the unit
    + rest: the other fields of :class:`Check`
    """

    def judge(subject: Subject) -> Verdict:
        found = unit(subject)
        if isinstance(found, Verdict):
            return found
        if found.load == "unknown":
            return unknown("systemd does not say")
        starts = starts_at_boot(found.enabled, found.wanted_by)
        if starts is None:
            return unknown(why_not_at_boot(found.name, found.enabled, found.wanted_by))
        if starts:
            return met(f"{found.name} is {found.enabled or 'wanted'}")
        return violated(f"{found.name} is {found.enabled or found.load}")

    return Check(
        id=f"{topic}.enabled",
        title=f"{title} starts at boot",
        severity=severity,
        judge=judge,
        **rest,
    )


def reloaded(topic: str, title: str, unit: Find, **rest: Any) -> Check:
    """The check that systemd has read a unit's files since they were changed.

    + topic: of the check's id
    + title: whose unit it is
    + unit: the unit
    + rest: the other fields of :class:`Check`
    """

    def judge(subject: Subject) -> Verdict:
        found = unit(subject)
        if isinstance(found, Verdict):
            return found
        if found.needs_daemon_reload:
            return violated(
                "unit files changed since systemd read them: daemon-reload is due",
                *(Evidence("", path) for path in found.files),
            )
        return met("systemd has read the unit's files")

    return Check(
        id=f"{topic}.daemon-reload",
        title=f"systemd has read {title}'s unit files",
        severity="warn",
        expected="no unit file changed since systemd read it",
        why="A changed unit file counts from the next daemon-reload or boot on: limits and proxies "
        "in a drop-in are not in force yet.",
        judge=judge,
        **rest,
    )
