"""Put the figures of the last ``make soak`` into docs/promises.md: ``python -m tests.soak``."""

from __future__ import annotations

import json
import sys
from typing import Any

from tests.soak.loops import FIGURES, PAGE

BEGIN = "<!-- figures: make soak writes them -->"
END = "<!-- end of the figures -->"


def table(figures: dict[str, dict[str, Any]]) -> str:
    """The figures of each loop as a Markdown table.

    + figures: by loop, with the day as ``date``
    """
    rows = ["| loop | day | figures |", "|---|---|---|"]
    for loop, values in sorted(figures.items()):
        told = "; ".join(
            f"{name.replace('_', ' ')}: {value}" for name, value in values.items() if name != "date"
        )
        rows.append(f"| {loop} | {values['date']} | {told} |")
    return "\n".join(rows)


def with_figures(page: str, text: str) -> str:
    """The page with other figures.

    + page: the text of docs/promises.md
    + text: what stands between the two marks
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has lost the marks around its figures")
    return f"{head}{BEGIN}\n{text}\n{END}{tail}"


def main() -> int:
    """Write them, and show them; 1 when no loop has left any."""
    figures = {path.stem: json.loads(path.read_text()) for path in FIGURES.glob("*.json")}
    if not figures:
        print(f"no figures in {FIGURES}: make soak makes them", file=sys.stderr)
        return 1
    text = table(figures)
    PAGE.write_text(with_figures(PAGE.read_text(), text))
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
