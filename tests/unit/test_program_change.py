"""The command that exchanges a runtime's program, and who ends it when its shell is killed."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.files import host_lock
from kubenode.runtimes import program_change
from kubenode.runtimes.config_swap import Daemon
from kubenode.runtimes.program_change import Program, Service

MAIN = "/etc/containerd/config.toml"
DAEMON = Daemon("containerd", "containerd.service", "check() { :; }\ncri_serves() { its_own; }")
SERVES = Service(is_enabled=True, is_active=True, serves=True)


def sent(command: Any) -> list[bytes]:
    """The contents on the command's standard input."""
    text = "".join(command.connector_arguments["_stdin"])
    return [base64.b64decode(part) for part in text.split(".")[:-1]]


def test_what_undoes_it_comes_last_and_whole() -> None:
    files = {MAIN: (b"old", b"new"), "/etc/containerd/conf.d/a.toml": (None, b"more")}
    command = program_change.change(Program("it", "1 -> 2", ":"), files, MAIN, DAEMON, SERVES)
    script = command.get_raw_value()
    *contents, back = sent(command)
    assert contents == [b"new", b"more"]
    found = re.search(r'stage "\$change/back.sh" ([0-9a-f]{64}) "\$content_3"', script)
    assert found
    assert found[1] == hashlib.sha256(back).hexdigest()
    assert re.search("@[A-Z_]+@", script + back.decode()) is None


@given(st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=40))
def test_what_is_told_of_it_is_no_code(explained: str) -> None:
    program = Program("it", explained, ":")
    script = program_change.change(program, {}, MAIN, DAEMON, SERVES).get_raw_value()
    [line] = [line for line in script.splitlines() if line.endswith('>"$change/what"')]
    assert shlex.split(line)[2] == explained


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
def test_what_undoes_it_is_a_script_whatever_the_service_did(shell: str) -> None:
    for each in product((True, False), repeat=4):
        service = Service(*each)
        definitions = program_change.definitions_of(
            Program("it", "", "program_back() { :; }"), MAIN, DAEMON, service
        )
        back = program_change.back_script(definitions)
        subprocess.run([*shell.split(), "-n"], input=back, text=True, check=True)
        # what did not serve CRI before need not do so afterwards
        last = re.findall(r"cri_serves\(\) \{ (\w+)", back)[-1]
        assert last == ("its_own" if service.serves else "systemctl")


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A change that was begun: what undoes it writes ``undone`` and removes itself."""
    monkeypatch.setattr(host_lock, "DIRECTORY", str(tmp_path / "locks"))
    change = tmp_path / "change"
    change.mkdir()
    undo = f"echo undone >>{tmp_path}/said; rm {change}/back.sh; outcome=all"
    definitions = f"change={change}\nis_done() {{ false; }}\ngo_back() {{ {undo}; }}"
    for name in ("back.sh", "ended.sh"):
        (change / name).write_text(program_change.back_script(definitions))
    return change


def watched(change: Path) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
    """A shell that changes something, and who waits for its end."""
    shell = subprocess.Popen(["sleep", "60"])
    start = Path(f"/proc/{shell.pid}/stat").read_text().rpartition(")")[2].split()[19]
    command = ["sh", str(change / "ended.sh"), "once-ended", str(shell.pid), start]
    watch = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    # it has begun: it sleeps
    while not Path(f"/proc/{watch.pid}/task/{watch.pid}/children").read_text():
        time.sleep(0.05)
    return shell, watch


def test_a_change_is_undone_once_its_shell_is_gone_and_not_before(directory: Path) -> None:
    shell, watch = watched(directory)
    try:
        time.sleep(2)
        assert watch.poll() is None
        assert (directory / "back.sh").exists()
        shell.kill()
        shell.wait()
        assert watch.wait(30) == 0
        assert (directory.parent / "said").read_text() == "undone\n"
    finally:
        shell.kill()
        watch.kill()


def test_what_a_change_had_fetched_that_was_not_begun_goes(directory: Path) -> None:
    shell, watch = watched(directory)
    try:
        (directory / "back.sh").unlink()
        (directory / "new").mkdir()
        assert watch.poll() is None
        shell.kill()
        shell.wait()
        assert watch.wait(30) == 0
        assert not directory.exists()
        assert not (directory.parent / "said").exists()
    finally:
        shell.kill()
        watch.kill()


def test_a_change_that_came_to_its_end_is_left_alone(directory: Path) -> None:
    shell, watch = watched(directory)
    try:
        shutil.rmtree(directory)
        shell.kill()
        shell.wait()
        assert watch.wait(30) == 0
        assert not (directory.parent / "said").exists()
        assert not (directory.parent / "locks").exists()
    finally:
        shell.kill()
        watch.kill()


@pytest.mark.parametrize("is_another", [True, False])
def test_a_daemon_that_ran_before_is_no_proof_of_a_change(is_another: bool, tmp_path: Path) -> None:
    """Its program may be a script, or stand beside the new one: the file it runs tells nothing."""
    (tmp_path / "daemon").write_text(f"MainPID={1 if is_another else os.getpid()}\n")
    script = f"""change={tmp_path}; unit=x.service; restarts=yes; note=/nowhere
systemctl() {{ echo MainPID={os.getpid()}; }}
program_is_there() {{ :; }}
cri_serves() {{ :; }}
{program_change._FUNCTIONS}
is_done"""
    assert (subprocess.run(["dash", "-c", script]).returncode == 0) is is_another


@pytest.mark.parametrize("is_over", [True, False])
def test_a_watch_that_begins_late_does_not_fail(directory: Path, is_over: bool) -> None:
    """What systemd-run starts: the change may be over, and its directory gone, before that."""
    programs = directory.parent / "bin"
    programs.mkdir()
    late = f"rm -rf {directory}; " if is_over else f"rm {directory}/back.sh; "
    stand_in = programs / "systemd-run"
    stand_in.write_text(
        f'#!/bin/sh\nwhile [ "$1" != sh ]; do shift; done\n{late}"$@"\n'
        f"echo $? >{directory.parent}/status\n"
    )
    stand_in.chmod(0o755)
    functions = (Path(program_change.__file__).parent / "program_functions.sh").read_text()
    script = f"change={directory}\nstarted() {{ echo 1; }}\n{functions}\nwatch_over\n"
    subprocess.run(
        ["sh", "-c", script], env={"PATH": f"{programs}:/usr/bin:/bin"}, check=True, timeout=60
    )
    assert (directory.parent / "status").read_text() == "0\n"
    # what is left of one that was not begun goes: the shell that is watched never had that start
    assert not directory.exists()


def test_who_ends_it_waits_for_another_run_which_may_have_done_so(directory: Path) -> None:
    locks = directory.parent / "locks"
    locks.mkdir(mode=0o700)
    held = subprocess.Popen(
        ["flock", str(locks / "lock"), "sh", "-c", f"sleep 4; rm {directory}/back.sh"]
    )
    time.sleep(0.5)
    shell, watch = watched(directory)
    try:
        shell.kill()
        shell.wait()
        assert watch.wait(60) == 0
        assert held.wait(60) == 0
        assert not (directory.parent / "said").exists()
    finally:
        for process in (shell, watch, held):
            process.kill()
