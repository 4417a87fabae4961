"""Put the figures of the last ``make soak`` into docs/promises.md: ``python -m tests.soak``."""

from __future__ import annotations

import json
import sys
from typing import Any

from tests.soak.loops import FIGURES, PAGE

BEGIN = "<!-- figures: make soak writes them -->"
END = "<!-- end of the figures -->"
_HEAD = ("| loop | day | figures |", "|---|---|---|")


def with_figures(page: str, figures: dict[str, dict[str, Any]]) -> str:
    """The page with the figures of these loops; those of other loops stay, each with its day.

    + page: the text of docs/promises.md
    + figures: by loop, with the day as ``date``
    """
    head, begin, rest = page.partition(BEGIN)
    before, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has lost the marks around its figures")
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in before.split("\n")[3:-1]}
    for loop, values in figures.items():
        told = "; ".join(
            f"{name.replace('_', ' ')}: {value}" for name, value in values.items() if name != "date"
        )
        rows[loop] = f"| {loop} | {values['date']} | {told} |"
    table = "\n".join([*_HEAD, *(rows[loop] for loop in sorted(rows))])
    return f"{head}{BEGIN}\n{table}\n{END}{tail}"


def main() -> int:
    """Write them, and show them; 1 when no loop has left any."""
    figures = {path.stem: json.loads(path.read_text()) for path in FIGURES.glob("*.json")}
    if not figures:
        print(f"no figures in {FIGURES}: make soak makes them", file=sys.stderr)
        return 1
    PAGE.write_text(with_figures(PAGE.read_text(), figures))
    print(f"{PAGE.name} has the figures of {', '.join(sorted(figures))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
