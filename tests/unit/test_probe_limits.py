"""What a command may take of a host: time, memory, and processes that outlive it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubenode.wire import probe
from kubenode.wire.probe import Script
from kubenode.wire.reading import Readings, read_answer

SHELLS = {
    name: path for name in ("dash", "bash", "busybox") if (path := shutil.which(name)) is not None
}

# takes no notice of TERM, and its child holds the output open
HANGS = """#!/bin/sh
trap '' TERM
echo begins
(trap '' TERM; while :; do sleep 0.2; done) &
while :; do sleep 0.2; done
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Path]:
    """A folder of programs, first in PATH; what they start is looked for at the end."""
    (tmp_path / "hangs").write_text(HANGS)
    (tmp_path / "hangs").chmod(0o755)
    yield tmp_path
    assert not running(tmp_path)


def running(folder: Path) -> list[str]:
    """Processes that have a folder in their PATH, as all have that a command of it starts."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"{folder}:".encode() in environ.read_bytes():
                found.append((environ.parent / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def hears_hup() -> None:
    """A shell that is started under nohup could not trap the signal."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def start(
    host: Path, shell: str, scripts: dict[str, Script], seconds: int = 0, alone: bool = False
) -> subprocess.Popen[str]:
    # as one of the usual directories: a test's folder is below one that all may write
    usual = str(host) if alone else f"{host}:{probe.DIRECTORIES}"
    script = probe.script(scripts).replace(probe.DIRECTORIES, usual)
    if seconds:
        script = script.replace(f"left={probe.MOST_SECONDS}", f"left={seconds}")
    (host / "sh").symlink_to(SHELLS[shell])
    return subprocess.Popen(
        [host / "sh", "-c", script],
        env={**os.environ, "PATH": f"{host}:" if alone else f"{host}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        preexec_fn=hears_hup,
        text=True,
    )


def answer(
    host: Path, shell: str, scripts: dict[str, Script], seconds: int = 0, alone: bool = False
) -> Readings:
    """What a command says by a shell; with *alone* there are no programs but *host*'s."""
    with start(host, shell, scripts, seconds, alone) as process:
        output = process.communicate(timeout=60)[0]
    return read_answer(output.split("\n"), scripts)


@pytest.mark.parametrize("timeout", ["coreutils", "busybox", "none"])
@pytest.mark.parametrize("shell", SHELLS)
def test_a_program_that_hangs_is_ended_with_all_it_has_started(
    host: Path, shell: str, timeout: str
) -> None:
    if timeout == "busybox":
        (host / "timeout").symlink_to(shutil.which("busybox") or "")
    script = Script('captured limited 1 hangs; value status "$status"; value output "$output"')
    scripts = {"p": script, "q": Script("value k v")}
    begun = time.monotonic()
    if timeout == "none":
        for name in {*probe.PROGRAMS, "sleep"}:
            (host / name).symlink_to(shutil.which(name) or "")
    readings = answer(host, shell, scripts, alone=timeout == "none")
    assert time.monotonic() - begun < 10
    assert readings["p"].values == {"status": "late", "output": "begins"}
    assert readings["q"].values == {"k": "v"}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_command_that_takes_too_long_ends_with_what_it_has(host: Path, shell: str) -> None:
    scripts = {
        "first": Script("value k v"),
        "late": Script("hangs; value k v"),
        "last": Script("value k v"),
    }
    begun = time.monotonic()
    readings = answer(host, shell, scripts, seconds=1)
    assert time.monotonic() - begun < 10
    assert readings["first"].values == {"k": "v"}
    assert "late" not in readings
    assert "last" not in readings


@pytest.mark.parametrize("shell", SHELLS)
def test_a_loop_of_the_shell_itself_is_ended(host: Path, shell: str) -> None:
    readings = answer(host, shell, {"p": Script("while :; do :; done")}, seconds=1)
    assert not readings


@pytest.mark.parametrize("shell", SHELLS)
def test_it_ends_when_nobody_listens_any_more(host: Path, shell: str) -> None:
    process = start(host, shell, {"p": Script("hangs")})
    assert process.stdout is not None
    while not any("hangs" in name for name in running(host)):
        time.sleep(0.05)
    process.stdout.close()
    process.wait(timeout=10)
    end = time.monotonic() + 60
    while running(host) and time.monotonic() < end:
        time.sleep(0.1)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGHUP])
def test_it_ends_when_its_shell_does(host: Path, shell: str, how: signal.Signals) -> None:
    process = start(host, shell, {"p": Script("hangs")})
    while not any("hangs" in name for name in running(host)):
        time.sleep(0.05)
    process.send_signal(how)
    process.wait(timeout=10)
    end = time.monotonic() + 60
    while running(host) and time.monotonic() < end:
        time.sleep(0.1)
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.parametrize("shell", SHELLS)
def test_what_prints_without_end_does_not_fill_the_shell(host: Path, shell: str) -> None:
    scripts = {
        "cut": Script('captured_part yes; value status "$status"; value size "${#output}"'),
        "full": Script('captured yes; value status "$status"'),
        "good": Script("value k v"),
    }
    with start(host, shell, scripts) as process:
        most = 0
        while process.poll() is None and process.stdout is not None:
            most = max(most, *(resident_kib(pid) for pid in descendants(process.pid)), 0)
            time.sleep(0.02)
            if most and not any("yes" in name for name in running(host)):
                break
        output = process.communicate(timeout=60)[0]
    readings = read_answer(output.split("\n"), scripts)
    assert readings["cut"].value("status") == "cut"
    assert int(readings["cut"].value("size") or 0) == probe.MOST_CAPTURED - 1
    assert "full" not in readings
    assert readings["good"].values == {"k": "v"}
    assert most <= probe.MOST_MEMORY_KIB


def descendants(pid: int) -> list[int]:
    children = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += [int(child) for child in task.read_text().split()]
        except OSError:
            continue
    return [pid, *(each for child in children for each in descendants(child))]


def resident_kib(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next(
        (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0
    )
