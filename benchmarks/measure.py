"""Let the subjects do their jobs on one fleet, in turn, and write down what each run cost."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import end_state, process
from benchmarks.hosts import Hosts
from benchmarks.subjects import ROOT, Subject

_AUDIT_EXIT_CODES = (0, 1, 2)


@dataclass(frozen=True)
class Measurement:
    """One run of one subject."""

    subject: str
    job: str
    """``first`` (of fresh hosts), ``no-op``, ``no-op, prepared``, ``audit``, ``facts``."""
    init: str
    hosts: int
    delay_ms: float
    wall: float
    cpu: float
    """Of the controller."""
    peak_mib: float
    whole_tree: bool
    """Whether that is of all the controller's processes together; the run's times do not count."""
    host_cpu: float
    """Seconds, of all hosts together. Here they share the controller's CPUs, elsewhere not."""
    sessions: float
    """Remote commands and file transfers, per host."""
    kib: float
    """Sent and received, per host."""

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)


class SubjectFailed(Exception):
    """A subject did not do its job."""


def run(
    subject: Subject,
    job: str,
    hosts: Hosts,
    folder: Path,
    *,
    label: str,
    delay_ms: float = 0,
    whole_tree: bool = False,
    changes: bool = False,
) -> Measurement:
    """One job of one subject.

    + folder: with the inventories
    + label: what the job is called in the results
    + changes: it may change something; otherwise that it did not is checked, on the hosts
    """
    checked = hosts.targets[0].init == "systemd"
    traces = end_state.traces(hosts) if checked and not changes else None
    before = hosts.counters()
    # sockets of ssh's, short as their path has to be; a new folder is a new connection for each run
    sockets = Path(tempfile.mkdtemp(prefix="b", dir="/tmp"))
    try:
        finished = process.run(
            subject.jobs[job].command(folder, len(hosts)),
            cwd=ROOT,
            environment={**subject.environment, "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets)},
            answer=subject.jobs[job].answer,
            whole_tree=whole_tree,
        )
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
    after = hosts.counters()
    allowed = _AUDIT_EXIT_CODES if job == "audit" else (0,)
    if finished.returncode not in allowed:
        raise SubjectFailed(
            f"{subject.name}, {label}: exit code {finished.returncode}\n{finished.output[-4000:]}"
        )
    if traces is not None and end_state.traces(hosts) != traces:
        raise SubjectFailed(f"{subject.name}, {label}: changed a host\n{finished.output[-4000:]}")
    count = len(hosts)
    return Measurement(
        subject=subject.name,
        job=label,
        init=hosts.targets[0].init,
        hosts=count,
        delay_ms=delay_ms,
        wall=finished.wall,
        cpu=finished.cpu,
        peak_mib=finished.peak_kib / 1024,
        whole_tree=whole_tree,
        host_cpu=sum(b.cpu - a.cpu for a, b in zip(before, after, strict=True)),
        sessions=sum(b.sessions - a.sessions for a, b in zip(before, after, strict=True)) / count,
        kib=sum(b.bytes - a.bytes for a, b in zip(before, after, strict=True)) / count / 1024,
    )


def in_turn(
    subjects: Iterable[Subject],
    jobs: dict[str, str],
    hosts: Hosts,
    folder: Path,
    *,
    rounds: int,
    delay_ms: float,
    say: Callable[[Measurement], None],
) -> None:
    """A B C A B C: a first round for the memory, whose times do not count, and *rounds* more.

    + jobs: labels by job; a subject does those that it has
    """
    order = [(subject, job) for job in jobs for subject in subjects if job in subject.jobs]
    for number in range(rounds + 1):
        for subject, job in order:
            label = "floor" if subject.name == "floor" else jobs[job]
            say(
                run(
                    subject, job, hosts, folder,
                    label=label, delay_ms=delay_ms, whole_tree=number == 0,
                )
            )  # fmt: skip
