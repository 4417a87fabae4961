"""The audit as one HTML page that needs nothing else: no network, no fonts, no server.

What hosts say is text: Jinja2 escapes it, and the page's Content-Security-Policy lets nothing run
but the page's own script.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

from kubenode.audit.checks.check import Check, State
from kubenode.audit.findings import SEVERITY_ORDER, FleetReport, HostReport
from kubenode.audit.reports import verdict
from kubenode.audit.reports.by_check import Group, grouped
from kubenode.run.printable import printable

_LETTERS: dict[State, str] = {
    "fail": "f",
    "unknown": "u",
    "warn": "w",
    "pass": "p",
    "not-applicable": "n",
}


_MOST_VARIANTS = 5
"""Of one check's findings, shown before a click: there may be as many as hosts."""
_MOST_EVIDENCE = 40


@dataclass(frozen=True)
class _Cell:
    letter: str
    state: State
    quiet: bool


@dataclass(frozen=True)
class _Row:
    """Hosts with the same state in every check."""

    state: State
    hosts: list[str]
    cells: list[_Cell]


def render(report: FleetReport) -> str:
    """The report as the text of an HTML page."""
    environment = Environment(
        loader=PackageLoader("kubenode.audit.reports", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    style, script = _read("page.css"), _read("page.js")
    groups = list(grouped(report))
    # where the details of a check begin: at its worst state
    counting: dict[str, str] = {}
    for group in groups:
        counting.setdefault(group.check, f"{group.state}-{group.check}")
    count = report.count()
    return environment.get_template("page.html.j2").render(
        report=report,
        sentence=verdict.sentence(report),
        circumstances=verdict.circumstances(report),
        states=[state for state in SEVERITY_ORDER if state != "not-applicable"],
        count=count,
        topics=_topics(report),
        rows=_rows(report, counting),
        unreached=[host for host in report.hosts if host.error is not None],
        most_variants=_MOST_VARIANTS,
        most_evidence=_MOST_EVIDENCE,
        counting=counting,
        groups=groups,
        unknown=_unknown(groups),
        waived=list(grouped(report, waived=True)),
        titles={check.id: check.title for check in report.checks},
        whys={check.id: check.why for check in report.checks},
        difference=verdict.difference,
        letters=_LETTERS,
        policy=f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'",
        style=style,
        script=script,
    )


def _rows(report: FleetReport, counting: Mapping[str, str]) -> list[_Row]:
    """Rows of the matrix, worst first; hosts that look alike are one."""
    alike: dict[tuple[State, ...], list[HostReport]] = {}
    for host in report.hosts:
        alike.setdefault((host.state, *_states(host, report.checks)), []).append(host)
    rows = [
        _Row(
            state,
            [host.host for host in hosts],
            [
                _Cell(_LETTERS[one], one, check.id not in counting)
                for check, one in zip(report.checks, states, strict=True)
            ],
        )
        for (state, *states), hosts in alike.items()
    ]
    return sorted(rows, key=_rank)


def _states(host: HostReport, checks: Iterable[Check]) -> Iterator[State]:
    # nobody has to look at a waived finding
    found = {one.check: "pass" if one.waiver else one.state for one in host.findings}
    missing: State = "not-applicable" if host.error is None else "unknown"
    return (found.get(check.id, missing) for check in checks)


def _rank(row: _Row) -> tuple[int, ...]:
    count = Counter(cell.state for cell in row.cells)
    return (SEVERITY_ORDER.index(row.state), *(-count[state] for state in SEVERITY_ORDER))


def _unknown(groups: Iterable[Group]) -> list[tuple[str, list[Group]]]:
    """What cannot be told, by why: one missing answer makes many checks unknown on its hosts."""
    causes: dict[object, tuple[str, list[Group]]] = {}
    for group in groups:
        if group.state == "unknown":
            alike = group.alike()
            found = alike[0][1].found
            # each evidence and each difference has a place of its own
            alone = len(alike) > 1 or alike[0][1].evidence
            key = group.check if alone else (found, *group.hosts)
            causes.setdefault(key, (found, []))[1].append(group)
    return list(causes.values())


def _topics(report: FleetReport) -> list[tuple[str, list[str]]]:
    topics: dict[str, list[str]] = {}
    for check in report.checks:
        topics.setdefault(check.topic, []).append(check.id)
    return list(topics.items())


def _read(name: str) -> str:
    return resources.files("kubenode.audit.reports").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
