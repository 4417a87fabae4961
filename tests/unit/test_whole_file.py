"""Changing files: what may be replaced and what must not be, what is kept, and who may see it."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pyinfra.api import StringCommand

from kubenode.files import host_lock, whole_file
from kubenode.files.whole_file import Change

SHELLS = ("dash", "bash", "busybox sh")


def run(
    command: StringCommand, shell: str = "sh", sent: Callable[[str], str] = str
) -> subprocess.CompletedProcess[str]:
    """Run a command as pyinfra would; *sent* is what becomes of its standard input."""
    lines = command.connector_arguments.get("_stdin", [])
    return subprocess.run(
        [*shell.split(), "-c", command.get_raw_value()],
        input=sent("".join(f"{line}\n" for line in lines)),
        capture_output=True,
        text=True,
    )


@pytest.fixture(autouse=True)
def lock_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "run"
    monkeypatch.setattr(host_lock, "DIRECTORY", str(folder))
    return folder


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


def listed(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def replace(path: Path, new: bytes | None, shell: str = "sh") -> None:
    """Change a file from what it is."""
    old = path.read_bytes() if path.is_file() else None
    finished = run(whole_file.change([Change(str(path), old, new)]), shell)
    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_files_and_masks_are_replaced(files: Path, shell: str) -> None:
    (files / "old").write_text("old")
    (files / "old").chmod(0o600)
    (files / "null").symlink_to("/dev/null")
    (files / "dangling").symlink_to(files / "nowhere")
    for name in ("new", "old", "null", "dangling", "a folder/be low/new"):
        replace(files / name, b"text\n", shell)
        assert (files / name).read_text() == "text\n"
        assert not (files / name).is_symlink()
    assert (files / "old").stat().st_mode & 0o777 == 0o600
    assert (files / "new").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_what_is_no_file_is_not_replaced(files: Path, kind: str) -> None:
    path = files / "x.conf"
    folder = path if kind == "folder" else files / "folder"
    folder.mkdir()
    if kind == "link":
        path.symlink_to(folder)
    elif kind == "pipe":
        os.mkfifo(path)
    before = listed(files)
    finished = run(whole_file.change([Change(str(path), None, b"text\n")]))
    assert finished.returncode == 1
    assert finished.stderr == f"{path} is no file: nothing was changed\n"
    assert listed(files) == before


@pytest.mark.parametrize("shell", SHELLS)
def test_modes_do_not_come_from_the_umask(files: Path, shell: str) -> None:
    """sudo's umask_override may be 000, and then all could replace what is in a new directory."""
    command = whole_file.change([Change(str(files / "a/b/x"), None, b"1")])
    finished = run(StringCommand("umask 000;", command, **command.connector_arguments), shell)
    assert finished.returncode == 0
    modes = {name: (files / name).stat().st_mode & 0o777 for name in ("a", "a/b", "a/b/x")}
    assert modes == {"a": 0o755, "a/b": 0o755, "a/b/x": 0o644}


def test_a_directory_that_all_may_write_is_named(files: Path) -> None:
    """What an earlier version made of it under such an umask."""
    files.chmod(0o777)
    finished = run(whole_file.change([Change(str(files / "x"), None, b"1")]))
    assert finished.returncode == 1
    assert finished.stderr == (
        f"all users may change what is in {files}: chmod o-w it\n"
        f"cannot write beside {files / 'x'}: nothing was changed\n"
    )
    assert listed(files) == []


@pytest.mark.parametrize("shell", SHELLS)
def test_content_longer_than_an_argument_arrives(files: Path, shell: str) -> None:
    content = os.urandom(245_000)
    replace(files / "x", content, shell)
    assert (files / "x").read_bytes() == content


@pytest.mark.parametrize("cut", [0, 500, 1500, -3])
def test_content_that_does_not_arrive_whole_changes_nothing(files: Path, cut: int) -> None:
    command = whole_file.change([Change(str(files / "x"), None, b"text\n" * 1000)])
    finished = run(command, sent=lambda lines: lines[:cut])
    assert finished.returncode == 1
    assert finished.stderr == "what was sent did not arrive whole: nothing was changed\n"
    assert listed(files) == []


def test_content_is_no_argument_of_any_process() -> None:
    """Every user sees arguments in `ps`."""
    command = whole_file.change([Change("/x", b"old secret", b"new secret")])
    assert "secret" not in command.get_raw_value()


def test_what_was_edited_after_the_plan_stays(files: Path) -> None:
    (files / "a").write_text("1")
    (files / "b").write_text("edited")
    changes = [Change(str(files / name), b"1", b"2") for name in "ab"]
    finished = run(whole_file.change(changes))
    assert finished.returncode == 1
    assert finished.stderr == (
        f"{files / 'b'} was changed meanwhile: nothing was changed by this run, run again\n"
    )
    assert listed(files) == ["a", "b"]
    assert (files / "a").read_text() == "1"


def test_what_is_edited_while_the_command_runs_stays_too(files: Path) -> None:
    path = files / "x"
    path.write_text("1")
    between = f"echo edited >{shlex.quote(str(path))}"
    finished = run(whole_file.change([Change(str(path), b"1", b"2")], between))
    assert finished.returncode == 1
    assert f"cannot replace {path}: it is not as it was; that is in {path}.kube" in finished.stderr
    assert path.read_text() == "edited\n"
    assert Path(f"{path}.kubenode-backup").read_text() == "1"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_failed_run_leaves_nothing_staged(files: Path, shell: str) -> None:
    changes = [Change(str(files / name), None, b"2") for name in "ab"]
    finished = run(whole_file.change(changes, "fail 'the kernel refuses'"), shell)
    assert (finished.returncode, finished.stderr) == (1, "the kernel refuses\n")
    assert listed(files) == []


@pytest.mark.parametrize("shell", SHELLS)
def test_what_an_interrupted_run_left_staged_goes_and_nothing_else(files: Path, shell: str) -> None:
    ours = [".x.kubenode.123", ".other.kubenode.99", ".x.kubenode"]
    others = [".x.kubenode.swp", ".kubenode", "x.kubenode.1"]
    for name in (*ours, *others):
        (files / name).write_text(name)
    (files / ".x.kubenode.7").symlink_to("/etc/passwd")
    replace(files / "x", b"text", shell)
    assert listed(files) == sorted([*others, ".x.kubenode.7", "x"])


def test_the_first_backup_stays_and_the_latest_nine(files: Path) -> None:
    path = files / "x"
    path.write_bytes(b"pristine")
    for number in range(15):
        replace(path, b"%d" % number)
    backup = f"{path}.kubenode-backup"
    assert Path(backup).read_bytes() == b"pristine"
    kept = {int(name.rpartition(".")[2]) for name in listed(files) if "backup." in name}
    assert kept == set(range(6, 15))
    assert [Path(f"{backup}.{number}").read_bytes() for number in (6, 14)] == [b"5", b"13"]


def test_what_a_backup_has_is_not_kept_twice_and_nothing_is_not_kept(files: Path) -> None:
    path = files / "x"
    for content in (b"1", b"", b"1", b"2", b"1", b"2", b"1"):
        replace(path, content)
    assert listed(files) == ["x", "x.kubenode-backup", "x.kubenode-backup.1"]
    assert (files / "x.kubenode-backup").read_bytes() == b"1"


def test_an_empty_backup_gives_way(files: Path) -> None:
    """What a power cut made of a backup of an earlier version."""
    (files / "x").write_text("1")
    (files / "x.kubenode-backup").write_text("")
    replace(files / "x", b"2")
    assert (files / "x.kubenode-backup").read_text() == "1"


def test_what_is_removed_is_kept_with_its_mode(files: Path) -> None:
    (files / "x").write_text("secret")
    (files / "x").chmod(0o640)
    replace(files / "x", None)
    assert listed(files) == ["x.kubenode-backup"]
    assert (files / "x.kubenode-backup").stat().st_mode & 0o777 == 0o640


def failing(tmp_path: Path, program: str, script: str) -> str:
    """A PATH in which a program is another one."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / program).write_text(f"#!/bin/sh\n{script}\n")
    (folder / program).chmod(0o755)
    return f"PATH={folder}:$PATH; "


def test_a_sync_that_fails_is_a_failure(files: Path, tmp_path: Path) -> None:
    path = files / "x"
    path.write_text("1")
    refuse = (
        f'case $1 in {tmp_path}/run) ;; *) echo "sync: $1: Input/output error" >&2; exit 1;; esac'
    )
    command = whole_file.change([Change(str(path), b"1", b"2")])
    head = failing(tmp_path, "sync", refuse)
    finished = run(StringCommand(head, command, **command.connector_arguments))
    assert finished.returncode == 1
    assert "Input/output error" in finished.stderr
    assert f"cannot write beside {path}: nothing was changed" in finished.stderr
    assert path.read_text() == "1"
    assert listed(files) == ["x"]


def test_where_sync_takes_no_files_all_is_synced(files: Path, tmp_path: Path) -> None:
    path = files / "x"
    log = tmp_path / "log"
    command = whole_file.change([Change(str(path), None, b"2")])
    head = failing(tmp_path, "sync", f'[ $# = 0 ] || exit 1; echo all >>"{log}"')
    finished = run(StringCommand(head, command, **command.connector_arguments))
    assert finished.returncode == 0
    # staged, staged with its mode, its directory
    assert log.read_text() == "all\n" * 3


def test_a_rename_that_fails_says_what_is(files: Path, tmp_path: Path) -> None:
    path = files / "x"
    path.write_text("1")
    command = whole_file.change([Change(str(path), b"1", b"2")])
    # the backup's rename succeeds
    script = 'case $3 in *backup) exec /bin/mv "$@";; esac; echo "mv: busy" >&2; exit 1'
    head = failing(tmp_path, "mv", script)
    finished = run(StringCommand(head, command, **command.connector_arguments))
    assert finished.returncode == 1
    assert f"mv: busy\ncannot replace {path}: it is as it was\n" in finished.stderr
    assert listed(files) == ["x", "x.kubenode-backup"]


@pytest.mark.parametrize("program", ["sha256sum", "base64", "sync", "chown"])
def test_a_missing_program_is_named(files: Path, tmp_path: Path, program: str) -> None:
    script = whole_file.change([Change(str(files / "x"), None, b"2")]).get_raw_value()
    script = script.replace(program, f"{program}-of-nobody")
    finished = run(StringCommand(script, _stdin=["Mg==", "."]))
    assert finished.returncode == 1
    assert finished.stderr == (
        f"{program}-of-nobody is missing on this host: nothing was changed\n"
    )
    assert listed(files) == []


def test_a_path_is_absolute() -> None:
    with pytest.raises(ValueError, match="not an absolute path: x"):
        Change("x", None, b"")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_secret_file_is_roots_alone_and_so_is_what_it_replaces(files: Path, shell: str) -> None:
    path = files / "hosts.toml"
    path.write_text("old secret")
    path.chmod(0o644)
    changes = [
        Change(str(path), b"old secret", b"new secret", secret=True),
        Change(str(files / "fresh"), None, b"key", secret=True),
        Change(str(files / "open"), None, b"for all"),
    ]
    command = whole_file.change(changes)
    finished = run(command, shell)
    assert (finished.returncode, finished.stderr) == (0, "")
    modes = {each.name: each.stat().st_mode & 0o777 for each in files.iterdir()}
    assert modes == {
        "hosts.toml": 0o600,
        "hosts.toml.kubenode-backup": 0o600,
        "fresh": 0o600,
        "open": 0o644,
    }
    assert path.read_text() == "new secret"
    assert (files / "hosts.toml.kubenode-backup").read_text() == "old secret"
    # what is an argument, every user of the host can read, and try passwords on a sum
    for content in (b"old secret", b"new secret", b"key"):
        assert whole_file.sum_of(content) not in command.get_raw_value()
    assert whole_file.sum_of(b"for all") in command.get_raw_value()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_secret_is_at_no_instant_for_others_to_read(files: Path, shell: str) -> None:
    path, seen = files / "hosts.toml", files / "seen"
    path.write_text("old secret")
    path.chmod(0o644)
    change = whole_file.change(
        [Change(str(path), b"old secret", b"new secret", secret=True)],
        between=f"stat -c '%a %n' {files}/.* {files}/*kubenode-backup >{seen} 2>/dev/null || :",
    )
    assert run(change, shell).returncode == 0
    staged = [line for line in seen.read_text().splitlines() if "kubenode" in line]
    assert len(staged) >= 2
    assert [line for line in staged if not line.startswith("600 ")] == []


@pytest.mark.parametrize("shell", SHELLS)
def test_an_earlier_backup_of_what_is_secret_now_becomes_roots_alone(
    files: Path, shell: str
) -> None:
    path, backup = files / "hosts.toml", files / "hosts.toml.kubenode-backup"
    for each in (path, backup):
        each.write_text("old secret")
        each.chmod(0o644)
    change = whole_file.change([Change(str(path), b"old secret", b"new", secret=True)])
    assert run(change, shell).returncode == 0
    assert backup.stat().st_mode & 0o777 == 0o600
    assert listed(files) == ["hosts.toml", "hosts.toml.kubenode-backup"]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_secret_file_that_was_changed_meanwhile_stays(files: Path, shell: str) -> None:
    path = files / "hosts.toml"
    path.write_text("somebody else's")
    finished = run(whole_file.change([Change(str(path), b"old", b"new", secret=True)]), shell)
    assert finished.returncode == 1
    assert "changed meanwhile" in finished.stderr
    assert path.read_text() == "somebody else's"
