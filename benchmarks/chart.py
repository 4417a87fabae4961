"""The measurements as a picture: one bar a subject, one panel a job and fleet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from benchmarks.table import Row

_LEFT, _BARS, _WIDTH = 120, 460, 760
_BAR, _PANEL = 24, 40
_COLOURS = {"kubenode": "#0969da", "floor": "#8c959f"}
_OTHER = "#d4a72c"


def render(rows: Sequence[Row], title: str) -> str:
    """An SVG of these rows; the longest bar of each panel is as wide as the picture allows."""
    panels: list[dict[str, Any]] = []
    y = 52
    floors: dict[tuple[object, ...], Row] = {
        (row.init, row.hosts, row.delay_ms): row for row in rows if row.job == "floor"
    }
    for key in dict.fromkeys((row.init, row.hosts, row.delay_ms, row.job) for row in rows):
        *fleet, job = key
        if job == "floor":
            continue
        shown = [row for row in rows if (row.init, row.hosts, row.delay_ms, row.job) == key]
        floor = floors.get(tuple(fleet))
        to_floor = floor is not None and job != "first"
        if floor and to_floor:
            shown.insert(0, floor)
        longest = max(row.wall for row in shown)
        bars = [
            {
                "name": row.subject,
                "y": y + 8 + index * _BAR,
                "width": round(row.wall / longest * _BARS, 1),
                "colour": _COLOURS.get(row.subject, _OTHER),
                "text": f"{row.wall:.1f} s"
                + (f"  ({row.to_floor:.1f} x floor)" if to_floor and row is not floor else ""),
            }
            for index, row in enumerate(shown)
        ]
        init, hosts, delay_ms = fleet
        where = f"{hosts} hosts ({init})" + (f", {delay_ms:g} ms delay" if delay_ms else "")
        panels.append({"title": f"{job}, {where}", "y": y, "bars": bars})
        y += len(shown) * _BAR + _PANEL
    folder = Path(__file__).parent
    template = Environment(loader=FileSystemLoader(folder), autoescape=True).get_template(
        "chart.svg.j2"
    )
    return template.render(title=title, panels=panels, left=_LEFT, width=_WIDTH, height=y) + "\n"
