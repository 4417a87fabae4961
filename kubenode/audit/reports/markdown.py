"""The audit as Markdown: for issues, merge requests and wikis."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kubenode.audit.findings import Finding, FleetReport
from kubenode.audit.reports import verdict
from kubenode.audit.reports.by_check import Group, grouped
from kubenode.run.printable import printable

_MOST_HOSTS = 20


def render(report: FleetReport) -> str:
    """The report as Markdown text; what hosts say is escaped, and stays text."""
    lines = ["# Audit", "", text(verdict.sentence(report)), ""]
    lines += [f"- {text(line)}" for line in verdict.circumstances(report)]
    lines += ["", "| host | state | fail | unknown | warn | pass |", "|---|---|---|---|---|---|"]
    for host in report.hosts:
        count = host.count()
        numbers = (
            "| | | |"
            if host.error is not None
            else " | ".join(str(count[state]) for state in ("fail", "unknown", "warn", "pass"))
        )
        state = f"no answer: {host.error}" if host.error is not None else host.state
        lines.append(f"| {text(host.host)} | {text(state)} | {numbers} |")
    for title, waived in (("Findings", False), ("Waived", True)):
        groups = list(grouped(report, waived=waived))
        if groups:
            lines += ["", f"## {title}"]
        for group in groups:
            lines += _group(group, len(report.hosts))
    if report.drift:
        lines += ["", "## Drift", "", "| fact | usual | odd |", "|---|---|---|"]
    for item in report.drift:
        odd = "; ".join(f"{value}: {_hosts(hosts)}" for value, hosts in item.odd.items())
        lines.append(f"| {text(item.title)} | {text(item.usual or '')} | {text(odd)} |")
    if report.baseline:
        lines += ["", f"## Changes since {text(report.baseline)}", ""]
        lines += [f"- {text(verdict.difference(change))}" for change in report.changes] or ["none"]
    return "\n".join(lines) + "\n"


def _group(group: Group, total: int) -> list[str]:
    lines = ["", f"### {group.state}: {group.check} ({len(group.findings)} of {total} hosts)"]
    for hosts, finding in group.alike():
        lines += ["", f"**{text(_hosts(hosts))}**", ""]
        lines += _details(finding)
    return lines


def _details(finding: Finding) -> list[str]:
    lines = [f"- found: {text(finding.found)}", f"- expected: {text(finding.expected)}"]
    lines += [f"- evidence: {text(str(evidence))}" for evidence in finding.evidence]
    if finding.remedy:
        lines.append(f"- remedy: {text(finding.remedy)}")
    if finding.waiver:
        lines.append(f"- waived until {finding.waiver.until}: {text(finding.waiver.reason)}")
    return lines


def _hosts(hosts: Iterable[str]) -> str:
    names = list(hosts)
    shown = ", ".join(names[:_MOST_HOSTS])
    return shown if len(names) <= _MOST_HOSTS else f"{shown} and {len(names) - _MOST_HOSTS} more"


def text(foreign: str) -> str:
    """*foreign* text that Markdown, and a spreadsheet it is pasted into, leave alone."""
    shown = re.sub(r"([\\`*_{}\[\]()#|~!])", r"\\\1", printable(foreign))
    shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # no link is made of a bare address
    shown = shown.replace("://", ":\u200b//")
    # a cell that starts so is a formula
    return re.sub(r"^(\s*)([=+@-])", r"\1\\\2", shown)
