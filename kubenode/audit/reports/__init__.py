"""Reports: what an audit found, in the formats people and pipelines read."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

# what is printable is asked for where nothing is judged
if TYPE_CHECKING:
    from kubenode.audit.findings import FleetReport


@dataclass(frozen=True)
class Format:
    """A form a report comes in."""

    module: str
    """Its module in this package, with the function ``render``."""
    suffixes: tuple[str, ...]
    """Of files that hold it, in lower case."""

    def render(self, report: FleetReport) -> str:
        """The report in this form."""
        # Jinja2, rich and the schema's models are slow to import, and an audit wants one of them
        return str(import_module(f"{__name__}.{self.module}").render(report))


FORMATS: dict[str, Format] = {
    "terminal": Format("terminal", (".txt",)),
    "json": Format("json_report", (".json",)),
    "junit": Format("junit", (".xml",)),
    "sarif": Format("sarif", (".sarif", ".sarif.json")),
    "markdown": Format("markdown", (".md", ".markdown")),
    "html": Format("html", (".html", ".htm")),
}


def format_of(path: str) -> str | None:
    """The name of the format that a file's suffix stands for, None when it stands for none."""
    suffixes = {suffix: name for name, form in FORMATS.items() for suffix in form.suffixes}
    # the longest: .sarif.json is not .json
    fitting = [suffix for suffix in suffixes if path.lower().endswith(suffix)]
    return suffixes[max(fitting, key=len)] if fitting else None
