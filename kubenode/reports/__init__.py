"""Reports: what an audit found, in the formats people and pipelines read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kubenode.findings import FleetReport
from kubenode.reports import html, json_report, junit, markdown, sarif, terminal


@dataclass(frozen=True)
class Format:
    """A form a report comes in."""

    render: Callable[[FleetReport], str]
    suffixes: tuple[str, ...]
    """Of files that hold it."""


FORMATS: dict[str, Format] = {
    "terminal": Format(terminal.render, (".txt",)),
    "json": Format(json_report.render, (".json",)),
    "junit": Format(junit.render, (".xml",)),
    "sarif": Format(sarif.render, (".sarif",)),
    "markdown": Format(markdown.render, (".md", ".markdown")),
    "html": Format(html.render, (".html", ".htm")),
}


def format_of(path: str) -> str | None:
    """The name of the format that a file's suffix stands for, None when it stands for none."""
    for name, form in FORMATS.items():
        if path.endswith(form.suffixes):
            return name
    return None
