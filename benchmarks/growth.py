"""What facts and an audit cost the controller as the fleet grows: time, memory, output."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import process
from benchmarks.subjects import PYINFRA, ROOT

_ENTRY_POINTS = "[pyinfra.connectors]\nsimulated = benchmarks.simulated:SimulatedConnector\n"

_AUDIT = (sys.executable, "-m", "kubenode", "audit", "{hosts}", "--timeout", "600")

JOBS = {
    "floor": (*PYINFRA, "-y", "{hosts}", "exec", "--", "true"),
    "no-op": (*PYINFRA, "-y", "{hosts}", "deploy.py"),
    "facts": (*PYINFRA, "--json", "{hosts}", "fact", "kubenode.facts.node.Node"),
    "audit, JSON": (*_AUDIT, "--format", "json"),
    "audit, terminal": (*_AUDIT, "--format", "terminal"),
    "audit, HTML": (*_AUDIT, "--format", "html"),
}


@dataclass(frozen=True)
class Growth:
    """One job on so many simulated hosts."""

    job: str
    hosts: int
    wall: float
    cpu: float
    peak_mib: float
    output_kib: float

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)


def measure(counts: Sequence[int], say: Callable[[Growth], None]) -> None:
    """Every job on every number of hosts."""
    with tempfile.TemporaryDirectory(prefix="kubenode-growth-") as name:
        # pyinfra finds connectors by their packages' metadata
        metadata = Path(name, "simulated-1.dist-info")
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: simulated\nVersion: 1\n")
        (metadata / "entry_points.txt").write_text(_ENTRY_POINTS)
        for hosts in counts:
            for job, command in JOBS.items():
                words = [word.replace("{hosts}", f"@simulated/{hosts}") for word in command]
                finished = process.run(
                    words, cwd=ROOT, environment={"PYTHONPATH": f"{name}:{ROOT}"}
                )
                allowed = (0, 1, 2) if job.startswith("audit") else (0,)
                if finished.returncode not in allowed or "Traceback" in finished.output:
                    raise RuntimeError(f"{job} on {hosts} hosts: {finished.output[-4000:]}")
                say(
                    Growth(
                        job=job,
                        hosts=hosts,
                        wall=finished.wall,
                        cpu=finished.cpu,
                        peak_mib=finished.peak_kib / 1024,
                        output_kib=len(finished.output.encode()) / 1024,
                    )
                )


def exponent(few: dict[str, Any], many: dict[str, Any], what: str) -> float:
    """How *what* grows with the hosts between two measurements: 1 is in proportion, 2 quadratic."""
    return log(many[what] / few[what]) / log(many["hosts"] / few["hosts"])


def show(measurements: Sequence[dict[str, Any]]) -> None:
    """Print what each job costs a host, and how it grows."""
    table = Table(title="simulated hosts; growth: the exponent of CPU time, 1 is in proportion")
    table.add_column("job", no_wrap=True)
    for name in (
        "hosts",
        "wall s",
        "x floor",
        "CPU s",
        "CPU ms/host",
        "memory MiB",
        "output KiB",
        "growth",
    ):
        table.add_column(name, justify="right")
    last: dict[str, dict[str, Any]] = {}
    for each in measurements:
        before = last.get(each["job"])
        growth = ""
        if before and before["hosts"] != each["hosts"]:
            growth = f"{exponent(before, each, 'cpu'):.2f}"
        last[each["job"]] = each
        floor = last["floor"] if last["floor"]["hosts"] == each["hosts"] else None
        table.add_row(
            each["job"],
            str(each["hosts"]),
            f"{each['wall']:.1f}",
            f"{each['wall'] / floor['wall']:.2f}" if floor else "",
            f"{each['cpu']:.1f}",
            f"{each['cpu'] / each['hosts'] * 1000:.1f}",
            f"{each['peak_mib']:.0f}",
            f"{each['output_kib']:.0f}",
            growth,
        )
    console = Console()
    Console(width=max(console.width, 110)).print(table)
