"""The host's lock: one at a time, with a name, and not for ever; with flock(1) and without."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from kubenode.files import host_lock

BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.fixture(params=["flock", "link"])
def lock(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lock's directory, with flock(1) and on a host without it."""
    folder = tmp_path / "run"
    monkeypatch.setattr(host_lock, "DIRECTORY", str(folder))
    monkeypatch.setattr(host_lock, "owner", lambda: "kubenode run by tester@controller")
    if request.param == "link":
        without = host_lock.FUNCTIONS.replace("command -v flock", "command -v flock-of-nobody")
        assert without != host_lock.FUNCTIONS
        monkeypatch.setattr(host_lock, "FUNCTIONS", without)
    return folder


def script(body: str, seconds: int = 10) -> str:
    text = host_lock.under_lock(body).get_raw_value()
    return text.replace(f" {host_lock.WAIT_SECONDS}\n", f" {seconds}\n")


def start(body: str, seconds: int = 10) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["sh", "-c", script(body, seconds)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def start_and_hold(tmp_path: Path, body: str = "sleep 100") -> subprocess.Popen[str]:
    """A run that holds the lock for sure."""
    process = start(f"touch {tmp_path}/held; {body}")
    until = time.monotonic() + 20
    while not (tmp_path / "held").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    return process


def kill(process: subprocess.Popen[str]) -> None:
    """With all its children, as nothing of it may hold the lock any more."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        assert stream
        stream.close()


def test_runs_go_one_by_one(lock: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    body = f"echo in >>{log}; sleep 0.05; echo out >>{log}"
    runs = [start(body, 60) for _ in range(8)]
    for run in runs:
        _, error = run.communicate()
        assert run.returncode == 0, error
    assert log.read_text() == "in\nout\n" * 8
    assert not [path for path in lock.iterdir() if path.name.startswith(("run.", "held", "take"))]


def test_without_the_lock_they_would_not(lock: Path, tmp_path: Path) -> None:
    """Control: the runs of the test above do meet."""
    log = tmp_path / "log"
    body = f"echo in >>{log}; sleep 0.3; echo out >>{log}"
    unlocked = script(body).replace("\ntake_lock ", "\n: take_lock ")
    runs = [subprocess.Popen(["sh", "-c", unlocked], stdin=subprocess.DEVNULL) for _ in range(4)]
    assert [run.wait() for run in runs] == [0] * 4
    assert log.read_text() != "in\nout\n" * 4


def test_who_waits_says_for_whom_and_gives_up(lock: Path, tmp_path: Path) -> None:
    holder = start_and_hold(tmp_path)
    try:
        waiting = start(f"touch {tmp_path}/changed", seconds=1)
        _, error = waiting.communicate()
    finally:
        kill(holder)
    assert waiting.returncode == 1
    first, last = error.splitlines()
    who = "kubenode run by tester@controller since 20"
    assert first.startswith(f"waits for another run on this host: {who}")
    assert first.endswith(f", pid {holder.pid}")
    assert last.startswith(f"another run has changed this host for 1 s ({who}")
    assert last.endswith("nothing was changed, run again when it has ended")
    assert not (tmp_path / "changed").exists()


def test_a_killed_run_holds_no_lock(lock: Path, tmp_path: Path) -> None:
    kill(start_and_hold(tmp_path))
    after = start("echo ok", seconds=2)
    assert after.communicate() == ("ok\n", "")


def test_a_lock_that_is_stale_is_taken_over_by_one_of_many(lock: Path, tmp_path: Path) -> None:
    kill(start_and_hold(tmp_path))
    log = tmp_path / "log"
    runs = [start(f"echo in >>{log}; sleep 0.05; echo out >>{log}", 60) for _ in range(8)]
    assert [run.wait() for run in runs] == [0] * 8
    for run in runs:
        run.communicate()
    assert log.read_text() == "in\nout\n" * 8


@pytest.mark.parametrize("held", [f"{BOOT} {os.getpid()} 1", f"other-boot {os.getpid()} 1", "junk"])
def test_a_lock_of_another_boot_or_process_is_stale(lock: Path, held: str) -> None:
    """The process number of a lock may be another one's by now: it started at another time."""
    lock.mkdir(mode=0o700)
    (lock / "held").write_text(f"{held}\n")
    (lock / "takeover").write_text(f"{held}\n")
    after = start("echo ok", seconds=3)
    assert after.communicate() == ("ok\n", "")


@pytest.mark.parametrize("kind", ["open", "link", "file"])
def test_the_directory_is_ours_alone(lock: Path, tmp_path: Path, kind: str) -> None:
    """What another user has made in its place is not believed."""
    if kind == "open":
        lock.mkdir()
        lock.chmod(0o777)
    elif kind == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        lock.symlink_to(tmp_path / "elsewhere")
    else:
        lock.write_text("")
    run = start("echo changed")
    out, error = run.communicate()
    assert (run.returncode, out) == (1, "")
    assert error.startswith(f"{lock} is not a directory for root alone (mode 0700)")


def test_a_broken_connection_does_not_stop_a_run_half_way(lock: Path, tmp_path: Path) -> None:
    run = start_and_hold(tmp_path, f"sleep 0.5; touch {tmp_path}/ended")
    os.kill(run.pid, signal.SIGHUP)
    assert run.wait() == 0
    run.communicate()
    assert (tmp_path / "ended").exists()


def test_the_owner_is_one_line_of_harmless_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "a'b\n\x1b[31m")
    monkeypatch.setattr("getpass.getuser", lambda: "eve $(id)")
    host_lock.owner.cache_clear()
    assert host_lock.owner() == "kubenode run by eve???id?@a?b???31m"
    host_lock.owner.cache_clear()
