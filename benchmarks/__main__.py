"""Measure kubenode beside other ways to do its job: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import chart, end_state, growth, measure, table
from benchmarks.hosts import Hosts, started
from benchmarks.measure import Measurement
from benchmarks.subjects import ROOT, Subject, subjects
from tests.targets import daemon, ssh_key

RESULTS = Path(__file__).parent / "results"

_JOBS = {"converge": "no-op", "prepare": "no-op, prepared", "audit": "audit"}
_LIGHT_JOBS = {"converge": "floor", "facts": "facts", "audit": "audit"}


class Record:
    """Measurements, written to a file as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._about = {
            "measured": datetime.now(UTC).isoformat(timespec="minutes"),
            "cpus": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "pyinfra": version("pyinfra"),
            "load_at_the_start": os.getloadavg()[0],
        }
        self.measurements: list[dict[str, Any]] = []

    def add(self, measurement: Any) -> None:
        """Write one down, and say so."""
        self.measurements.append(measurement.as_json())
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"about": self._about, "measurements": self.measurements}, indent=1)
        self._path.write_text(text + "\n")
        print(
            f"{measurement.hosts} hosts, {getattr(measurement, 'subject', '')} {measurement.job}: "
            f"{measurement.wall:.2f} s, {measurement.cpu:.2f} s CPU",
            flush=True,
        )


def _systemd(options: argparse.Namespace) -> None:
    """The whole job, on systemd hosts."""
    found = subjects(options.ansible)
    record = Record(options.output or RESULTS / f"systemd-{options.hosts}.json")
    client = daemon.connect()
    with tempfile.TemporaryDirectory(prefix="kubenode-bench-") as name, ExitStack() as last:
        folder = Path(name)
        key = ssh_key.generate(folder / "id_ed25519")
        converging = [subject for subject in found if "prepare" in subject.jobs]
        converging += [subject for subject in found if subject.name == "ansible"]
        fleet: Hosts | None = None
        for subject in converging if options.first else ():
            # fresh hosts for each: what one has installed the next would find
            last.pop_all().close()
            fleet = last.enter_context(started(client, options.hosts, "systemd", key))
            fleet.inventories(folder)
            record.add(measure.run(subject, "converge", fleet, folder, label="first", changes=True))
            end_state.check(fleet, subject.name)
        if fleet is None:
            fleet = last.enter_context(started(client, options.hosts, "systemd", key))
            fleet.inventories(folder)
        _settle(converging, fleet, folder)
        for delay_ms in options.delays:
            _rounds(found, _JOBS, fleet, folder, options, delay_ms, record)
        end_state.check(fleet, "all of them")
    table.show(record.measurements)


def _settle(converging: Sequence[Subject], fleet: Hosts, folder: Path) -> None:
    """Let each subject have its way with files whose text the others write otherwise.

    kubenode comes last: it owns its sysctl file whole, and the others accept that text.
    """
    for subject in reversed(converging):
        measure.run(subject, "converge", fleet, folder, label="", changes=True)
        end_state.check(fleet, subject.name)


def _light(options: argparse.Namespace) -> None:
    """Facts and audit, on hosts with sshd alone."""
    record = Record(options.output or RESULTS / f"sshd-{options.hosts}.json")
    found = []
    for subject in subjects(None):
        # sshd alone is no node: there is nothing to converge
        jobs = {
            name: job
            for name, job in subject.jobs.items()
            if subject.name == "floor" or name in ("facts", "audit")
        }
        found.append(replace(subject, jobs=jobs))
    with tempfile.TemporaryDirectory(prefix="kubenode-bench-") as name:
        folder = Path(name)
        key = ssh_key.generate(folder / "id_ed25519")
        with started(daemon.connect(), options.hosts, "sshd", key) as fleet:
            for delay_ms in options.delays:
                _rounds(found, _LIGHT_JOBS, fleet, folder, options, delay_ms, record)
    table.show(record.measurements)


def _rounds(
    found: Sequence[Subject],
    jobs: dict[str, str],
    fleet: Hosts,
    folder: Path,
    options: argparse.Namespace,
    delay_ms: float,
    record: Record,
) -> None:
    with ExitStack() as stack:
        ports = stack.enter_context(fleet.delayed(delay_ms)) if delay_ms else None
        fleet.inventories(folder, ports)

        def say(measurement: Measurement) -> None:
            record.add(measurement)

        measure.in_turn(
            found, jobs, fleet, folder, rounds=options.rounds, delay_ms=delay_ms, say=say
        )


def _growth(options: argparse.Namespace) -> None:
    """Simulated hosts."""
    record = Record(options.output or RESULTS / "growth.json")
    growth.measure(options.hosts, record.add)
    growth.show(record.measurements)


def _show(options: argparse.Namespace) -> None:
    """The tables of results, and the chart of the systemd ones."""
    measurements = []
    for path in sorted(RESULTS.glob("s*-*.json"), key=_fleet):
        measurements += json.loads(path.read_text())["measurements"]
    table.show(measurements)
    growth_path = RESULTS / "growth.json"
    if growth_path.exists():
        growth.show(json.loads(growth_path.read_text())["measurements"])
    rows = [
        row
        for row in table.rows(measurements)
        if row.init == "systemd" and row.hosts == options.hosts
    ]
    if rows:
        path = RESULTS / "chart.svg"
        path.write_text(chart.render(rows, "Wall time, median"))
        print(f"wrote {path}")


def _fleet(path: Path) -> tuple[bool, int]:
    init, _, hosts = path.stem.partition("-")
    return init != "systemd", int(hosts)


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.replace(",", " ").split()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    systemd = commands.add_parser("systemd", help=_systemd.__doc__)
    systemd.set_defaults(run=_systemd)
    systemd.add_argument("--ansible", type=Path, help="ansible-playbook; without it, no Ansible")
    systemd.add_argument(
        "--no-first", dest="first", action="store_false", help="leave out the first converge"
    )
    light = commands.add_parser("sshd", help=_light.__doc__)
    light.set_defaults(run=_light)
    for command in (systemd, light):
        command.add_argument("--hosts", type=int, default=20)
        command.add_argument("--rounds", type=int, default=5, help="that count, after a first one")
        command.add_argument(
            "--delays", type=_numbers, default=[0, 50], metavar="MS,MS", help="default: 0,50"
        )
    growing = commands.add_parser("growth", help=_growth.__doc__)
    growing.set_defaults(run=_growth)
    growing.add_argument("--hosts", type=_numbers, default=[20, 1_000, 10_000], metavar="N,N")
    for command in (systemd, light, growing):
        command.add_argument("--output", type=Path, help="default: a file in benchmarks/results")
    show = commands.add_parser("show", help=_show.__doc__)
    show.set_defaults(run=_show)
    show.add_argument("--hosts", type=int, default=20, help="of the chart, default: 20")

    options = parser.parse_args(arguments)
    # as pip leaves a package, and as the others have theirs
    for folder in ("kubenode", "facts", "operations"):
        compileall.compile_dir(ROOT / folder, quiet=1)
    # `timeout` ends a run so: as with ctrl-C, the hosts must not outlive it
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options.run(options)
    except (daemon.TargetError, end_state.WrongState, measure.SubjectFailed) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
