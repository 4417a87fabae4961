"""Run all tests but those on virtual machines: several at a time, each file by a pytest of its own.

Tests on targets wait for hosts now and then, so one after the other they leave a machine
idle. A file is not divided: its tests share their targets.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.targets.daemon import TargetError

JOBS = 4
"""How many at a time, on two cores. Each has a few targets, of which a machine takes about 20."""
LONGEST = tuple(
    f"tests/{name}.py"
    for name in (
        "soak/test_exchange_loop",
        "soak/test_other_exchanges",
        "end_to_end/test_changing_runtime",
        "end_to_end/test_docker_editions",
        "end_to_end/test_docker_on_rpm",
        "end_to_end/test_crio_breaks",
        "end_to_end/test_sources",
        "end_to_end/test_program_breaks",
        "end_to_end/test_audit_breaks",
        "end_to_end/test_kubernetes_packages",
        "end_to_end/test_prepare",
        "end_to_end/test_remedies",
        "end_to_end/test_docker",
        "end_to_end/test_docker_breaks",
        "end_to_end/test_crio_archive",
        "end_to_end/test_crio_exchanges",
        "end_to_end/test_crio_on_targets",
        "end_to_end/test_crio_on_rpm",
        "end_to_end/test_handlers",
        "end_to_end/test_rpm_on_targets",
        "end_to_end/test_absent",
        "end_to_end/test_left_alone",
        "end_to_end/test_readme",
        "soak/test_kill_loop",
        "soak/test_two_controllers",
    )
)
"""Files that take more than two minutes, which their number of tests does not show."""

_ROOT = Path(__file__).parent.parent.parent
_UNITS = ("-m", "not targets and not vm")
_FOLDERS = ("tests/end_to_end", "tests/soak")
"""All that has tests on targets."""


@dataclass(frozen=True)
class Job:
    """A run of pytest."""

    name: str
    arguments: tuple[str, ...]


def run(say: Callable[[str], None]) -> int:
    """Run the tests; the worst exit code.

    + say: takes what each pytest has printed, when it has ended
    """
    with ThreadPoolExecutor(JOBS) as pool:
        return max(pool.map(lambda job: _run(job, say), _jobs()))


def _jobs() -> Sequence[Job]:
    """Those that take long first, so that all lanes end together, then those with most tests."""
    collected = _pytest("-m", "targets", "--collect-only", "--quiet", *_FOLDERS)
    if collected.returncode != 0:
        raise TargetError(f"pytest cannot collect the tests:\n{collected.stdout}")
    files = Counter(
        line.partition("::")[0] for line in collected.stdout.splitlines() if "::" in line
    )
    first = [file for file in LONGEST if file in files]
    rest = [file for file, _ in files.most_common() if file not in LONGEST]
    return [
        Job("units", _UNITS),
        *(Job(file, ("-m", "targets", file)) for file in (*first, *rest)),
    ]


def _run(job: Job, say: Callable[[str], None]) -> int:
    started = time.monotonic()
    say(f"== {job.name} begins")
    finished = _pytest(*job.arguments, "--durations=5", f"--override-ini=cache_dir={_cache(job)}")
    say(f"{finished.stdout}== {job.name} took {time.monotonic() - started:.0f} s")
    # one that a signal has ended has a number below 0, which no other would be less than
    return abs(finished.returncode)


def _cache(job: Job) -> Path:
    return _ROOT / ".cache" / "pytest" / job.name.replace("/", "-")


def _pytest(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
