"""Findings grouped by check: the same trouble on many hosts is one thing to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kubenode.audit.checks.check import State
from kubenode.audit.findings import SEVERITY_ORDER, Finding, FleetReport


@dataclass(frozen=True)
class Group:
    """What one check finds in one state."""

    check: str
    state: State
    findings: tuple[tuple[str, Finding], ...]
    """Hosts with their findings."""

    @property
    def topic(self) -> str:
        return self.check.partition(".")[0]

    @property
    def hosts(self) -> list[str]:
        return [host for host, _ in self.findings]

    def alike(self) -> list[tuple[list[str], Finding]]:
        """Hosts with the same finding on the same evidence; the largest group first."""
        groups: dict[tuple[object, ...], list[tuple[str, Finding]]] = {}
        for host, finding in self.findings:
            key = (finding.found, finding.evidence, finding.remedy, finding.expected)
            groups.setdefault(key, []).append((host, finding))
        return [
            ([host for host, _ in group], group[0][1])
            for group in sorted(groups.values(), key=len, reverse=True)
        ]


def grouped(report: FleetReport, *, waived: bool = False) -> Iterator[Group]:
    """Groups of the findings that count, worst first, then in the catalogue's order.

    + report: the audit
    + waived: take the findings that are waived instead
    """
    found: dict[tuple[State, str], list[tuple[str, Finding]]] = {}
    for host in report.hosts:
        for finding in host.findings:
            if finding.waiver is not None if waived else finding.counts:
                found.setdefault((finding.state, finding.check), []).append((host.host, finding))
    order = {check.id: number for number, check in enumerate(report.checks)}
    for state, check in sorted(
        found, key=lambda key: (SEVERITY_ORDER.index(key[0]), order.get(key[1], 0))
    ):
        yield Group(check, state, tuple(found[state, check]))
