"""Findings: what the checks say of a host and of a fleet, and the exit code that follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

from kubenode.audit.checks.check import Aim, Check, Evidence, Severity, State, Subject, verdict_of

if TYPE_CHECKING:
    from kubenode.facts.node import NodeShape

SEVERITY_ORDER: tuple[State, ...] = ("fail", "unknown", "warn", "pass", "not-applicable")
"""Worst first."""


@dataclass(frozen=True)
class Waiver:
    """A finding that somebody decided to live with, for a while."""

    check: str
    reason: str
    until: date
    """The last day it counts."""


@dataclass(frozen=True)
class Finding:
    """What one check says of one host."""

    check: str
    state: State
    severity: Severity
    """What violating the check is; of an ``unknown``, what it might hide."""
    expected: str
    found: str
    evidence: tuple[Evidence, ...] = ()
    remedy: str | None = None
    """None for a finding that needs none."""
    waiver: Waiver | None = None
    """Why a warn, fail or unknown does not count. None when the waiver has ended: ``waiver_note``
    says so."""
    waiver_note: str | None = None

    @property
    def counts(self) -> bool:
        """Whether somebody has to look at it: it is not right, and nobody waived it."""
        return self.state in ("warn", "fail", "unknown") and self.waiver is None

    def is_serious(self, fail_on: Severity = "fail") -> bool:
        """Whether it decides the exit code: it counts, and is, or may hide, what *fail_on* names.

        + fail_on: ``fail``, or ``warn`` for warnings too
        """
        return self.counts and (self.severity == "fail" or fail_on == "warn")


@dataclass(frozen=True)
class HostReport:
    """What is known of one host."""

    host: str
    findings: tuple[Finding, ...] = ()
    error: str | None = None
    """Why nothing is known: it was not reached or gave no usable answer."""
    facts: NodeShape | None = None

    @property
    def state(self) -> State:
        """The worst that counts."""
        if self.error is not None:
            return "unknown"
        states = {finding.state for finding in self.findings if finding.counts}
        return next((state for state in SEVERITY_ORDER if state in states), "pass")

    def count(self) -> Counter[State]:
        """How many findings of each state; waived ones count as ``pass``."""
        return Counter("pass" if finding.waiver else finding.state for finding in self.findings)


@dataclass(frozen=True)
class Drift:
    """A fact that differs between hosts and should not, or that hosts share and should not."""

    id: str
    """Stable, such as ``drift.kernel`` or ``drift.duplicate-machine-id``."""
    title: str
    usual: str | None
    """The value most hosts have; None when no value has a majority, and for duplicates."""
    odd: Mapping[str, tuple[str, ...]]
    """The other values, with the hosts that have each."""
    unknown: tuple[str, ...] = ()
    """Hosts of which the value is not known."""


@dataclass(frozen=True)
class Difference:
    """What is not as in the baseline."""

    kind: Literal["new", "fixed", "changed", "host-added", "host-gone", "fact"]
    host: str
    subject: str
    """A check's or a drift's id; empty for hosts."""
    before: str
    after: str


@dataclass(frozen=True)
class FleetReport:
    """One audit."""

    hosts: tuple[HostReport, ...]
    created: datetime
    kubenode_version: str
    kubernetes: str | None = None
    """Release asked for, such as ``1.36``; None: each host's own kubelet's."""
    profiles: tuple[str, ...] = ()
    drift: tuple[Drift, ...] = ()
    baseline: str | None = None
    """The baseline's name and date."""
    changes: tuple[Difference, ...] = ()
    checks: tuple[Check, ...] = field(default=(), repr=False)
    """The checks that were judged, in the catalogue's order."""

    def count(self) -> Counter[State]:
        """How many hosts are in each state."""
        return Counter(host.state for host in self.hosts)


def judge_host(
    host: str,
    facts: NodeShape,
    aim: Aim,
    checks: Iterable[Check],
    waivers: Mapping[str, Waiver] | None = None,
) -> HostReport:
    """Every check's finding about one host.

    + host: its name in the inventory
    + facts: the host's :class:`~kubenode.facts.node.Node` fact
    + aim: what it is judged for
    + checks: the catalogue, or some of it
    + waivers: by check id
    """
    subject = Subject(facts, aim)
    return HostReport(
        host,
        tuple(_finding(check, subject, (waivers or {}).get(check.id)) for check in checks),
        facts=facts,
    )


def _finding(check: Check, subject: Subject, waiver: Waiver | None) -> Finding:
    verdict = verdict_of(check, subject)
    severity = verdict.severity or check.severity
    state: State
    match verdict.outcome:
        case "met":
            state = "pass"
        case "violated":
            state = severity
        case other:
            state = other
    note = None
    if waiver is not None:
        if state in ("pass", "not-applicable"):
            note, waiver = f"its waiver is no longer needed ({waiver.reason})", None
        elif subject.aim.today > waiver.until:
            note, waiver = f"its waiver ended {waiver.until} ({waiver.reason})", None
    return Finding(
        check=check.id,
        state=state,
        severity=severity,
        expected=verdict.expected or check.expected,
        found=verdict.found,
        evidence=verdict.evidence,
        remedy=(verdict.remedy or check.remedy) if state in ("warn", "fail") else verdict.remedy,
        waiver=waiver,
        waiver_note=note,
    )


def exit_code(report: FleetReport, fail_on: Severity = "fail") -> int:
    """0 all is right, 1 findings, 2 the state of a host is not known.

    + report: the audit
    + fail_on: ``fail`` leaves warnings at 0, ``warn`` does not

    2 is for a host without an answer, and for an unknown that may hide a fail (with ``warn``: any
    unknown). Waived findings do not count. 2 wins over 1: a pipeline that accepts 1 must not miss a
    host that did not answer.
    """
    serious = [
        finding for host in report.hosts for finding in host.findings if finding.is_serious(fail_on)
    ]
    unanswered = any(host.error is not None for host in report.hosts)
    if unanswered or any(finding.state == "unknown" for finding in serious):
        return 2
    return int(bool(serious))
