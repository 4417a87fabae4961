"""What changed since a saved report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from kubenode.audit import drift
from kubenode.audit.checks.check import State
from kubenode.audit.findings import Difference, FleetReport, HostReport

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


def differences(saved: Saved, report: FleetReport) -> tuple[Difference, ...]:
    """What is not as in the baseline, host by host.

    + saved: the baseline
    + report: the audit

    A finding that was right or did not apply and is not now is ``new``, the reverse ``fixed``; one
    that is found in another way is ``changed``. Of a host without an answer, now or in the
    baseline, nothing is said but that. A check that the baseline did not have is no difference
    while it is right.
    """
    found: list[Difference] = []
    for host in report.hosts:
        before = saved.hosts.get(host.host)
        if before is None:
            found.append(Difference("host-added", host.host, "", "", host.error or host.state))
        elif host.error is not None:
            if before.error is None:
                found.append(Difference("changed", host.host, "", "answered", host.error))
        elif before.error is not None:
            now = f"answers: {host.state}"
            found.append(Difference("changed", host.host, "", before.error, now))
        else:
            found += [*_findings(before, host), *_facts(before, host)]
    present = {host.host for host in report.hosts}
    gone = [name for name in saved.hosts if name not in present]
    return (*found, *(Difference("host-gone", name, "", "audited", "") for name in gone))


def _findings(before: SavedHost, host: HostReport) -> Iterator[Difference]:
    for finding in host.findings:
        state, text = before.findings.get(finding.check, ("pass", "not in the baseline"))
        was, now = f"{state}: {text}", f"{finding.state}: {finding.found}"
        was_right, is_right = state in _RIGHT, finding.state in _RIGHT
        if was == now or (was_right and is_right):
            continue
        kind: Literal["new", "fixed", "changed"] = (
            "new" if was_right else "fixed" if is_right else "changed"
        )
        yield Difference(kind, host.host, finding.check, was, now)


def _facts(before: SavedHost, host: HostReport) -> Iterator[Difference]:
    own = drift.values(host.facts) if host.facts else {}
    for name in dict.fromkeys([*before.facts, *own]):
        old, new = before.facts.get(name), own.get(name)
        if old != new and old is not None and new is not None:
            yield Difference("fact", host.host, name, old, new)
