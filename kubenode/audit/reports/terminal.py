"""The audit as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kubenode.audit import kubeadm_names
from kubenode.audit.checks.check import State
from kubenode.audit.findings import SEVERITY_ORDER, Finding, FleetReport, HostReport
from kubenode.audit.reports import verdict
from kubenode.audit.reports.by_check import Group, grouped
from kubenode.run.printable import printable

_STYLES: dict[State, str] = {
    "fail": "bold red",
    "unknown": "magenta",
    "warn": "yellow",
    "pass": "green",
    "not-applicable": "dim",
}
_MOST_ROWS = 30
_MOST_HOSTS = 8
_MOST_EVIDENCE = 6
_MOST_LINES = 40


def render(report: FleetReport) -> str:
    """The report as plain text, 100 columns wide."""
    text = StringIO()
    _print(report, Console(file=text, width=100, color_system=None, force_terminal=False))
    return _without_padding(text.getvalue())


def print_report(report: FleetReport, console: Console) -> None:
    """Print the report.

    + report: the audit
    + console: where to; its width and colours are used, nothing depends on colour
    """
    if console.is_terminal:
        _print(report, console)
        return
    with console.capture() as printed:
        _print(report, console)
    console.file.write(_without_padding(printed.get()))


def _without_padding(text: str) -> str:
    # rich fills every line to the width of the console
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def _print(report: FleetReport, console: Console) -> None:
    worst: State = next((state for state in SEVERITY_ORDER if report.count()[state]), "pass")
    console.print(Text(verdict.sentence(report), style=_STYLES[worst]))
    for line in verdict.circumstances(report):
        console.print(_text(line, "dim"))
    if len(report.hosts) > 1:
        console.print()
        console.print(_hosts_table(report))
    elif report.hosts and report.hosts[0].error is not None:
        host = report.hosts[0]
        console.print(_text(f"{host.host}: {host.error}", _STYLES["unknown"]))
    elif report.hosts:
        count = report.hosts[0].count()
        states = ", ".join(f"{count[state]} {state}" for state in SEVERITY_ORDER if count[state])
        console.print(_text(f"{report.hosts[0].host}: {states}"))
    for group in grouped(report):
        _print_group(group, len(report.hosts), console)
    _print_kubeadm(report, console)
    _print_waived(report, console)
    _print_drift(report, console)
    _print_changes(report, console)
    if any(finding.counts for host in report.hosts for finding in host.findings):
        console.print()
        console.print(_text("`kubenode explain CHECK` says why a check matters.", "dim"))


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style, overflow="fold")


def _hosts_table(report: FleetReport) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("host", overflow="fold")
    for column in ("fail", "unknown", "warn", "pass"):
        table.add_column(column, justify="right")
    table.add_column("", overflow="fold")
    ordered = sorted(report.hosts, key=_rank)
    right = [host for host in ordered if host.state == "pass"]
    shown = ordered if len(ordered) <= _MOST_ROWS else ordered[: -len(right) or None][:_MOST_ROWS]
    for host in shown:
        count = host.count()
        numbers = [
            Text("-" if host.error is not None else str(count[state]), style=style)
            for state, style in (
                (state, _STYLES[state] if count[state] and state != "pass" else "")
                for state in SEVERITY_ORDER[:4]
            )
        ]
        note = _text(f"no answer: {host.error}" if host.error is not None else "", "magenta")
        table.add_row(_text(host.host), *numbers, note)
    left = ordered[len(shown) :]
    if left:
        states = ", ".join(
            f"{sum(host.state == state for host in left)} {state}"
            for state in SEVERITY_ORDER
            if any(host.state == state for host in left)
        )
        table.add_row(_text(f"and {len(left)} more: {states}", "dim"))
    return table


def _rank(host: HostReport) -> tuple[bool, int, int]:
    count = host.count()
    return (host.error is None, SEVERITY_ORDER.index(host.state), -count[host.state])


def _print_group(group: Group, total: int, console: Console) -> None:
    console.print()
    heading = Text(f"{group.state} ", style=_STYLES[group.state])
    heading.append(group.check, style="bold")
    if total > 1:
        heading.append(f"  on {len(group.findings)} of {total}")
    console.print(heading)
    for hosts, finding in group.alike():
        if total > 1:
            console.print(Padding(_text(_names(hosts), "cyan"), (0, 0, 0, 2), expand=False))
        console.print(Padding(_details(finding), (0, 0, 0, 2), expand=False))


def _details(finding: Finding) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("found", _text(finding.found))
    table.add_row("expected", _text(finding.expected))
    for evidence in finding.evidence[:_MOST_EVIDENCE]:
        table.add_row("evidence", _text(str(evidence)))
    if len(finding.evidence) > _MOST_EVIDENCE:
        table.add_row("", f"and {len(finding.evidence) - _MOST_EVIDENCE} more")
    if finding.remedy:
        table.add_row("remedy", _text(finding.remedy))
    if finding.waiver_note:
        table.add_row("waiver", _text(finding.waiver_note))
    return table


def _names(hosts: Iterable[str]) -> str:
    names = list(hosts)
    shown = ", ".join(names[:_MOST_HOSTS])
    return shown if len(names) <= _MOST_HOSTS else f"{shown} and {len(names) - _MOST_HOSTS} more"


def _print_kubeadm(report: FleetReport, console: Console) -> None:
    missing = kubeadm_names.missing(report)
    if not missing:
        return
    console.print()
    console.print(Text("What kubeadm init or join would name", style="bold"))
    for name, hosts in missing.items():
        line = name if len(report.hosts) == 1 else f"{name} on {_names(hosts)}"
        console.print(Padding(_text(line), (0, 0, 0, 2), expand=False))


def _print_waived(report: FleetReport, console: Console) -> None:
    groups = list(grouped(report, waived=True))
    if not groups:
        return
    console.print()
    console.print(Text("Waived", style="bold"))
    for group in groups:
        for hosts, finding in group.alike():
            waiver = finding.waiver
            until = f" until {waiver.until}: {waiver.reason}" if waiver else ""
            line = f"{group.state} {group.check} on {_names(hosts)}{until}"
            console.print(Padding(_text(line), (0, 0, 0, 2), expand=False))


def _print_drift(report: FleetReport, console: Console) -> None:
    if not report.drift:
        return
    console.print()
    console.print(Text("Drift: what differs between hosts", style="bold"))
    for item in report.drift:
        usual = f", usual: {item.usual}" if item.usual is not None else ""
        console.print(Padding(_text(f"{item.title}{usual}"), (0, 0, 0, 2), expand=False))
        for value, hosts in list(item.odd.items())[:_MOST_ROWS]:
            console.print(Padding(_text(f"{value}: {_names(hosts)}"), (0, 0, 0, 4), expand=False))
        if item.unknown:
            line = f"unknown: {_names(item.unknown)}"
            console.print(Padding(_text(line, "dim"), (0, 0, 0, 4), expand=False))


def _print_changes(report: FleetReport, console: Console) -> None:
    if report.baseline is None:
        return
    console.print()
    console.print(_text(f"Changes since {report.baseline}", "bold"))
    for change in report.changes[:_MOST_LINES]:
        console.print(Padding(_text(verdict.difference(change)), (0, 0, 0, 2), expand=False))
    if len(report.changes) > _MOST_LINES:
        console.print(f"  and {len(report.changes) - _MOST_LINES} more")
    if not report.changes:
        console.print("  none")
