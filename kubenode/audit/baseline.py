"""What changed since a saved report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubenode.audit.checks.check import State
from kubenode.audit.findings import Change, FleetReport

_RIGHT = ("pass", "not-applicable")


@dataclass(frozen=True)
class SavedHost:
    """One host of a saved report."""

    error: str | None
    findings: Mapping[str, tuple[State, str]]
    """State and what was found, by check."""
    facts: Mapping[str, str | None]
    """:func:`kubenode.audit.drift.values`."""


@dataclass(frozen=True)
class Saved:
    """A saved report, as far as it is compared."""

    created: str
    hosts: Mapping[str, SavedHost]


def changes(
    saved: Saved, report: FleetReport, facts: Mapping[str, Mapping[str, str | None]]
) -> tuple[Change, ...]:
    """The differences, host by host.

    + saved: the baseline
    + report: the audit
    + facts: its :func:`kubenode.audit.drift.values`, by host

    A finding that was right or did not apply and is not now is ``new``, the reverse ``fixed``; one
    that is found in another way is ``changed``. Of a host without an answer, now or in the
    baseline, nothing is said but that. A check that the baseline did not have is no difference
    while it is right.
    """
    found: list[Change] = []
    for host in report.hosts:
        before = saved.hosts.get(host.host)
        if before is None:
            found.append(Change("host-added", host.host, "", "", host.error or host.state))
            continue
        if host.error is not None:
            if before.error is None:
                found.append(Change("changed", host.host, "", "answered", host.error))
            continue
        if before.error is not None:
            found.append(Change("changed", host.host, "", before.error, f"answers: {host.state}"))
            continue
        for finding in host.findings:
            state, text = before.findings.get(finding.check, ("pass", "not in the baseline"))
            was, now = f"{state}: {text}", f"{finding.state}: {finding.found}"
            if state in _RIGHT and finding.state in _RIGHT:
                continue
            if was == now:
                continue
            if state in _RIGHT:
                found.append(Change("new", host.host, finding.check, was, now))
            elif finding.state in _RIGHT:
                found.append(Change("fixed", host.host, finding.check, was, now))
            else:
                found.append(Change("changed", host.host, finding.check, was, now))
        own = facts.get(host.host, {})
        for name in dict.fromkeys([*before.facts, *own]):
            old, new = before.facts.get(name), own.get(name)
            if old != new and old is not None and new is not None:
                found.append(Change("fact", host.host, name, old, new))
    present = {host.host for host in report.hosts}
    found += [
        Change("host-gone", name, "", "audited", "") for name in saved.hosts if name not in present
    ]
    return tuple(found)
