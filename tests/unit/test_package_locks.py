"""Waiting for a package manager, with a process that really holds its lock."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubenode.packages import package_locks

SHELLS = ("dash", "bash", "busybox sh")

_HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
if sys.argv[2] == "lock":
    fcntl.lockf(file, fcntl.LOCK_EX)
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def process(path: Path, what: str) -> Iterator[int]:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path), what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout
    assert holder.stdout.readline() == "ready\n"
    try:
        yield holder.pid
    finally:
        holder.communicate()


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files in place of apt's and dpkg's locks."""
    paths = [tmp_path / f"lock {number}" for number in range(len(package_locks.LOCKS))]
    holder = package_locks.HOLDER
    for name, path in zip(package_locks.LOCKS, paths, strict=True):
        assert f"*' -> {name}'" in holder
        holder = holder.replace(f"*' -> {name}'", f"*' -> {path}'")
    monkeypatch.setattr(package_locks, "HOLDER", holder)
    return paths


def held_by(shell: str) -> str:
    script = f'nl="\n"\n{package_locks.HOLDER}\nholder; printf %s "$holder"'
    finished = subprocess.run(
        [*shell.split(), "-c", script], capture_output=True, text=True, check=True
    )
    assert finished.stderr == ""
    return finished.stdout


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("number", range(len(package_locks.LOCKS)))
def test_who_holds_a_lock_is_named(locks: list[Path], number: int, shell: str) -> None:
    with process(locks[number], "lock") as pid:
        assert held_by(shell).split()[0] == str(pid)
    assert held_by(shell) == ""


@pytest.mark.parametrize("shell", SHELLS)
def test_who_has_it_open_does_not_hold_it(locks: list[Path], shell: str) -> None:
    with process(locks[0], "open"):
        assert held_by(shell) == ""


def run(command: str, manager: str = "apt-get") -> subprocess.CompletedProcess[str]:
    script = package_locks.patiently(manager, command).get_raw_value()
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True)


def test_a_command_waits_and_says_for_whom(
    locks: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        package_locks, "PATIENTLY", package_locks.PATIENTLY.replace("-lt 300", "-lt 1")
    )
    with process(locks[0], "lock") as pid:
        finished = run("echo ran")
    assert (finished.returncode, finished.stdout) == (1, "")
    first, last = finished.stderr.splitlines()
    assert first.startswith(f"waits for process {pid} ")
    assert last.startswith(f"process {pid} ")
    assert last.endswith("run again when it has ended")


@pytest.mark.parametrize(
    "message",
    [
        "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1 (apt-get)",
        "dpkg: error: dpkg frontend lock was locked by another process with pid 1",
        "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend)",
        "error: can't create transaction lock on /var/lib/rpm/.rpm.lock (Resource temporarily "
        "unavailable)",
    ],
)
def test_a_command_that_lost_the_race_runs_again(tmp_path: Path, message: str) -> None:
    once = tmp_path / "once"
    finished = run(
        f'[ -e {once} ] || {{ touch {once}; echo "{message}" >&2; return 100; }}; echo ran'
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "ran\n", f"{message}\n")


def test_a_command_that_fails_otherwise_fails_at_once() -> None:
    finished = run("echo out; echo no such package >&2; return 100")
    assert (finished.returncode, finished.stdout) == (100, "out\n")
    assert finished.stderr == "no such package\n"


def test_zypper_waits_for_locks_of_its_own() -> None:
    assert run("echo $ZYPP_LOCK_TIMEOUT", "zypper").stdout == "300\n"
    assert run("echo $ZYPP_LOCK_TIMEOUT", "dnf").stdout == "\n"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("update", "simulated", "code", "said"),
    [
        ("return 0", "return 0", 0, ""),
        # the control: where all is fetched nothing is simulated
        ("return 0", "return 100", 0, ""),
        (
            "echo 'E: http://x 404' >&2; return 100",
            "echo noise; return 0",
            0,
            "E: http://x 404\napt-get update failed in part: correct or remove the source that is "
            "named above. What is wanted can be installed without it.\n",
        ),
        (
            "echo 'E: http://x 404' >&2; return 100",
            "echo noise; echo 'E: Unable to locate package c' >&2; return 100",
            100,
            "E: http://x 404\nE: Unable to locate package c\n",
        ),
        # a source that does not answer is a warning of apt's own, with exit code 0
        ("echo 'W: Failed to fetch' >&2", "return 0", 0, "W: Failed to fetch\n"),
    ],
)
def test_lists_are_fetched_as_far_as_sources_answer(
    shell: str, update: str, simulated: str, code: int, said: str
) -> None:
    script = package_locks.with_lists_fetched("simulation").get_raw_value()
    functions = f"apt_get() {{ {update}; }}; simulation() {{ {simulated}; }}\n"
    script = functions + script.replace("apt-get update;", "apt_get;", 1)
    finished = subprocess.run([*shell.split(), "-c", script], capture_output=True, text=True)
    assert (finished.returncode, finished.stderr) == (code, said)
