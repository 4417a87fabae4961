"""The audit as one HTML page that needs nothing else: no network, no fonts, no server.

What hosts say is text: Jinja2 escapes it, and the page's Content-Security-Policy lets nothing run
but the page's own script.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

from kubenode.checks.check import State
from kubenode.findings import SEVERITY_ORDER, FleetReport, HostReport
from kubenode.reports import verdict
from kubenode.reports.by_check import grouped
from kubenode.reports.printable import printable

SYMBOLS: dict[State, str] = {
    "fail": "✕",
    "unknown": "?",
    "warn": "!",
    "pass": "✓",
    "not-applicable": "·",
}
_LETTERS: dict[State, str] = {
    "fail": "f",
    "unknown": "u",
    "warn": "w",
    "pass": "p",
    "not-applicable": "n",
}


@dataclass(frozen=True)
class _Cell:
    letter: str
    symbol: str
    link: str | None
    quiet: bool


@dataclass(frozen=True)
class _Row:
    host: HostReport
    cells: list[_Cell]


def render(report: FleetReport) -> str:
    """The report as the text of an HTML page."""
    environment = Environment(
        loader=PackageLoader("kubenode.reports", ""),
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
        rows=list(_rows(report, counting)),
        counting=counting,
        groups=groups,
        waived=list(grouped(report, waived=True)),
        titles={check.id: check.title for check in report.checks},
        whys={check.id: check.why for check in report.checks},
        change=verdict.change,
        symbols=SYMBOLS,
        letters=_LETTERS,
        policy=f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'",
        style=style,
        script=script,
    )


def _rows(report: FleetReport, counting: Mapping[str, str]) -> Iterator[_Row]:
    for host in report.hosts:
        cells = []
        for finding in host.findings:
            state: State = "pass" if finding.waiver else finding.state
            cells.append(
                _Cell(
                    _LETTERS[state],
                    SYMBOLS[state],
                    f"#{finding.state}-{finding.check}" if finding.counts else None,
                    finding.check not in counting,
                )
            )
        yield _Row(host, cells)


def _topics(report: FleetReport) -> list[tuple[str, list[str]]]:
    topics: dict[str, list[str]] = {}
    for check in report.checks:
        topics.setdefault(check.topic, []).append(check.id)
    return list(topics.items())


def _read(name: str) -> str:
    return resources.files("kubenode.reports").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
