"""The measurements as one table: medians, and how often the floor and kubenode each is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One subject at one job on one fleet."""

    init: str
    hosts: int
    delay_ms: float
    job: str
    subject: str
    wall: float
    least: float
    most: float
    cpu_per_host: float
    host_cpu_per_host: float
    peak_mib: float
    sessions: float
    kib: float
    to_floor: float | None
    """Wall time in terms of the floor's on the same fleet, None where that was not measured."""
    to_kubenode: float | None
    """The same of kubenode's at the same job."""


def rows(measurements: Iterable[dict[str, Any]]) -> list[Row]:
    """Medians over the rounds; memory from the round that measures it."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for each in measurements:
        key = (each["init"], each["hosts"], each["delay_ms"], each["job"], each["subject"])
        groups.setdefault(key, []).append(each)
    timed = {
        key: [each for each in group if not each["whole_tree"]] or group
        for key, group in groups.items()
    }
    walls = {key: median(each["wall"] for each in group) for key, group in timed.items()}
    found = []
    for key, group in timed.items():
        init, hosts, delay_ms, job, subject = key
        floor = walls.get((init, hosts, delay_ms, "floor", "floor"))
        own = walls.get((init, hosts, delay_ms, job, "kubenode"))
        found.append(
            Row(
                init, hosts, delay_ms, job, subject,
                wall=walls[key],
                least=min(each["wall"] for each in group),
                most=max(each["wall"] for each in group),
                cpu_per_host=median(each["cpu"] for each in group) / hosts,
                host_cpu_per_host=median(each["host_cpu"] for each in group) / hosts,
                peak_mib=max(each["peak_mib"] for each in groups[key]),
                sessions=median(each["sessions"] for each in group),
                kib=median(each["kib"] for each in group),
                to_floor=walls[key] / floor if floor else None,
                to_kubenode=walls[key] / own if own else None,
            )
        )  # fmt: skip
    return found


def table(found: Iterable[Row]) -> Table:
    """For a terminal."""
    result = Table(title="median wall time; a host's figures are means over the hosts")
    for name in ("fleet", "job", "subject"):
        result.add_column(name, no_wrap=True)
    for name in (
        "wall s", "(range)", "x floor", "x kubenode", "controller\nCPU ms/host", "host\nCPU ms",
        "memory\nMiB", "sessions\n/host", "KiB\n/host",
    ):  # fmt: skip
        result.add_column(name, justify="right", no_wrap=True)
    fleet = None
    for row in found:
        name = f"{row.hosts} {row.init}" + (f", {row.delay_ms:g} ms" if row.delay_ms else "")
        if fleet not in (None, name):
            result.add_section()
        fleet = name
        result.add_row(
            name,
            row.job,
            row.subject,
            f"{row.wall:.2f}",
            f"{row.least:.2f}-{row.most:.2f}",
            "" if row.to_floor is None else f"{row.to_floor:.2f}",
            "" if row.to_kubenode is None else f"{row.to_kubenode:.2f}",
            f"{row.cpu_per_host * 1000:.0f}",
            f"{row.host_cpu_per_host * 1000:.0f}",
            f"{row.peak_mib:.0f}",
            f"{row.sessions:.1f}",
            f"{row.kib:.0f}",
        )
    return result


def show(measurements: Iterable[dict[str, Any]]) -> None:
    """Print the table."""
    # wide enough for a pipe, too
    console = Console()
    Console(width=max(console.width, 160)).print(table(rows(measurements)))
