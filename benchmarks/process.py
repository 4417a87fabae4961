"""Run a command of the controller's and say what it cost this machine."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_SAMPLE_SECONDS = 0.1


@dataclass(frozen=True)
class Run:
    """A finished command."""

    returncode: int
    output: str
    wall: float
    """Seconds."""
    cpu: float
    """Seconds of user and system time, its children's included that it waited for."""
    peak_kib: int
    """Most memory at once: of the largest process, or with *whole_tree* of all of them (PSS)."""


def run(
    command: Iterable[str | Path],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    answer: str = "",
    whole_tree: bool = False,
) -> Run:
    """Run a command to its end.

    + answer: standard input
    + whole_tree: sample the memory of all its processes; costs time, so not where time is measured
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as stdin:
        stdin.write(answer.encode())
        stdin.seek(0)
        started = time.monotonic()
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "160", **environment},
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        ended = threading.Event()
        samples = [0]
        sampler = threading.Thread(target=_sample, args=(process.pid, ended, samples))
        if whole_tree:
            sampler.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        ended.set()
        if whole_tree:
            sampler.join()
        output.seek(0)
        return Run(
            returncode=process.returncode,
            output=output.read().decode(errors="replace"),
            wall=wall,
            cpu=usage.ru_utime + usage.ru_stime,
            peak_kib=max(usage.ru_maxrss, *samples),
        )


def _sample(pid: int, ended: threading.Event, samples: list[int]) -> None:
    while not ended.wait(_SAMPLE_SECONDS):
        samples.append(sum(_pss_kib(each) for each in descendants(_parents(), pid)))


def descendants(parents: Mapping[int, int], pid: int) -> set[int]:
    """*pid*, its children, theirs, and so on.

    + parents: every process's parent
    """
    children: dict[int, list[int]] = {}
    for child, parent in parents.items():
        children.setdefault(parent, []).append(child)
    found = {pid}
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def _parents() -> dict[int, int]:
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # the name in parentheses may hold anything
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
    return parents


def _pss_kib(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Pss: +(\d+) kB", text, re.MULTILINE)
    return int(found[1]) if found else 0
