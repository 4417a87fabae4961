"""The swap of containerd's files and its undo, with programs in place of containerd's."""

from __future__ import annotations

import os
import re
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyinfra.api import StringCommand

from kubenode.files import host_lock
from kubenode.files.whole_file import sum_of
from kubenode.runtimes import config_swap
from kubenode.runtimes.config_swap import Unproven, read_note
from kubenode.runtimes.containerd import proof

OLD, NEW = b"version = 2\n# ours\n", b"version = 2\n# kubenode's\n"


class Host:
    """A folder with a configuration, and programs that do as they are told."""

    def __init__(self, folder: Path) -> None:
        self.main = folder / "etc/config.toml"
        self.note = Path(f"{self.main}.kubenode-unproven")
        self.backup = Path(f"{self.main}.kubenode-backup")
        self.programs = folder / "bin"
        self.main.parent.mkdir()
        self.programs.mkdir()
        self.main.write_bytes(OLD)
        self.program("containerd", ":")
        self.program("ctr", "echo io.containerd.grpc.v1 cri linux/amd64 ok")
        self.program("systemctl", ":")
        self.program("journalctl", "echo its last words")

    def program(self, name: str, script: str) -> None:
        (self.programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.programs / name).chmod(0o755)

    def run(
        self, command: StringCommand, most_memory: int = -1
    ) -> subprocess.CompletedProcess[str]:
        lines = command.connector_arguments.get("_stdin", [])
        return subprocess.run(
            ["sh", "-c", command.get_raw_value()],
            input="".join(f"{line}\n" for line in lines),
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": f"{self.programs}:{os.environ['PATH']}"},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (most_memory, -1)),
        )

    def swap(
        self, old: bytes | None = OLD, new: bytes = NEW, most_memory: int = -1
    ) -> subprocess.CompletedProcess[str]:
        command = config_swap.swap(
            {str(self.main): (old, new)},
            main=str(self.main),
            daemon=proof.daemon(str(self.programs / "containerd"), "/nowhere"),
            restart=True,
        )
        return self.run(command, most_memory)

    def undo(self) -> subprocess.CompletedProcess[str]:
        return self.run(config_swap.undo(str(self.main)))

    def interrupt(self) -> None:
        """Leave what a run leaves that is killed between the swap and CRI's answer."""
        self.program("systemctl", '[ "$1" != restart ] || kill -9 $PPID')
        assert self.swap().returncode == -9
        self.program("systemctl", ":")
        assert self.main.read_bytes() == NEW
        assert self.note.exists()

    def names(self) -> list[str]:
        return sorted(path.name for path in self.main.parent.iterdir())


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(host_lock, "DIRECTORY", str(tmp_path / "run"))
    monkeypatch.setattr(config_swap, "CRI_WAIT_SECONDS", 0)
    return Host(tmp_path)


def test_a_swap_replaces_and_keeps(host: Host) -> None:
    finished = host.swap()
    assert (finished.returncode, finished.stderr) == (0, "")
    assert host.main.read_bytes() == NEW
    assert host.backup.read_bytes() == OLD
    assert host.names() == ["config.toml", "config.toml.kubenode-backup"]


def test_a_daemon_that_complains_without_end_takes_no_memory(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "FUNCTIONS", re.sub(r"limited \d+", "limited 1", proof.FUNCTIONS))
    host.program("containerd", "yes no >&2")
    finished = host.swap(most_memory=64 * 1024 * 1024)
    assert finished.returncode == 1
    assert "refuses the new configuration, nothing was changed: no" in finished.stderr
    assert host.names() == ["config.toml"]


def test_a_note_says_what_is_where_and_is_roots_alone(host: Host) -> None:
    host.interrupt()
    assert read_note(host.note.read_bytes()) == [Unproven(str(host.main), sum_of(NEW), sum_of(OLD))]
    assert host.note.stat().st_mode & 0o777 == 0o600


def test_an_interrupted_swap_is_undone(host: Host) -> None:
    host.interrupt()
    finished = host.undo()
    assert (finished.returncode, finished.stderr) == (0, "the old configuration is back\n")
    assert host.main.read_bytes() == OLD
    assert host.names() == ["config.toml", "config.toml.kubenode-backup"]


def test_a_file_that_the_swap_began_goes_again(host: Host) -> None:
    host.main.unlink()
    host.program("systemctl", '[ "$1" != restart ] || kill -9 $PPID')
    assert host.swap(old=None).returncode == -9
    assert host.undo().returncode == 0
    assert host.names() == []


def test_what_was_edited_since_stays(host: Host) -> None:
    host.interrupt()
    host.main.write_text("the administrator's\n")
    finished = host.undo()
    assert finished.returncode == 0
    assert finished.stderr == (
        f"edited since, so nothing is undone and all files stay as they are: {host.main}\n"
    )
    assert host.main.read_text() == "the administrator's\n"
    assert host.backup.read_bytes() == OLD
    assert not host.note.exists()


@pytest.mark.parametrize(
    "harm",
    [
        lambda host: host.backup.unlink(),
        lambda host: host.backup.write_bytes(b""),
        lambda host: host.backup.write_bytes(OLD[:-1]),
        lambda host: host.note.write_bytes(b""),
        lambda host: host.note.write_bytes(host.note.read_bytes()[:-4]),
        lambda host: host.note.write_bytes(b"\0" * 300),
        lambda host: host.note.write_text(f"{host.main}\n"),
        lambda host: host.note.write_text(host.note.read_text().replace(".kubenode", "/../x")),
    ],
)
def test_what_cannot_be_undone_stays_whole(host: Host, harm: Callable[[Host], None]) -> None:
    host.interrupt()
    harm(host)
    finished = host.undo()
    assert finished.returncode == 0
    assert "all files stay as they are" in finished.stderr
    assert host.main.read_bytes() == NEW
    assert not host.note.exists()


def test_an_undo_that_fails_says_so_and_keeps_its_note(host: Host) -> None:
    host.interrupt()
    host.program("mv", 'echo "mv: Device or resource busy" >&2; exit 1')
    finished = host.undo()
    assert finished.returncode == 1
    assert f"the old configuration is NOT back: {host.main} could not be" in finished.stderr
    assert "Device or resource busy" in finished.stderr
    assert host.note.exists()
    (host.programs / "mv").unlink()
    assert host.undo().returncode == 0
    assert host.main.read_bytes() == OLD


def test_a_daemon_that_does_not_come_up_gets_the_old_files(host: Host) -> None:
    host.program("systemctl", f'[ "$1" != restart ] || ! grep -q "kubenode\'s" {host.main}')
    finished = host.swap()
    assert finished.returncode == 1
    assert finished.stderr == (
        "containerd did not come up with the new configuration, and serves CRI again; "
        "the old configuration is back: its last words\n"
    )
    assert host.main.read_bytes() == OLD
    assert host.names() == ["config.toml", "config.toml.kubenode-backup"]


def test_that_the_old_files_are_back_is_not_said_when_they_are_not(host: Host) -> None:
    """A file that can be replaced once: then it is bound, or made immutable, by somebody."""
    binds = f"touch {host.main}.bound; exit 1"
    host.program("systemctl", f'[ "$1" != restart ] || {{ {binds}; }}')
    host.program("mv", f'if [ -e {host.main}.bound ]; then echo busy >&2; exit 1; fi; /bin/mv "$@"')
    finished = host.swap()
    assert finished.returncode == 1
    assert "the old configuration is NOT back" in finished.stderr
    assert "the old configuration is back" not in finished.stderr
    assert host.main.read_bytes() == NEW
    assert host.note.exists()
    assert host.backup.read_bytes() == OLD


def test_a_file_that_cannot_be_replaced_is_as_it_was(host: Host) -> None:
    script = 'case $3 in *config.toml) echo busy >&2; exit 1;; esac; /bin/mv "$@"'
    host.program("mv", script)
    finished = host.swap()
    assert finished.returncode == 1
    assert finished.stderr == (
        f"cannot replace {host.main} (busy): the old configuration is back\n"
    )
    assert host.main.read_bytes() == OLD
    assert not host.note.exists()


def test_a_swap_does_not_overwrite_another_runs_note(host: Host) -> None:
    host.interrupt()
    before = host.note.read_bytes()
    finished = host.swap(old=NEW)
    assert finished.returncode == 1
    assert "another run's change was interrupted" in finished.stderr
    assert host.note.read_bytes() == before


def test_what_was_edited_after_the_plan_is_not_replaced(host: Host) -> None:
    host.main.write_text("the administrator's\n")
    finished = host.swap()
    assert finished.returncode == 1
    assert "was changed meanwhile: nothing was changed by this run" in finished.stderr
    assert host.main.read_text() == "the administrator's\n"
    assert host.names() == ["config.toml"]


def test_a_refused_configuration_leaves_nothing(host: Host) -> None:
    host.program("containerd", "echo it says no >&2; exit 1")
    finished = host.swap()
    assert finished.returncode == 1
    assert finished.stderr == (
        "containerd refuses the new configuration, nothing was changed: it says no\n"
    )
    assert host.names() == ["config.toml"]


def test_the_secrets_of_a_staged_file_are_roots_alone(host: Host) -> None:
    """It waits for containerd's verdict before it gets the file's own mode."""
    host.program("containerd", f'stat -c %a "${{1#--config=}}" >>{host.programs}/modes')
    assert host.swap().returncode == 0
    assert (host.programs / "modes").read_text() == "600\n644\n"


def test_a_link_is_followed(host: Host) -> None:
    real = host.main.parent.parent / "real.toml"
    host.main.rename(real)
    host.main.symlink_to(real)
    host.interrupt()
    assert real.read_bytes() == NEW
    assert host.undo().returncode == 0
    assert host.main.is_symlink()
    assert real.read_bytes() == OLD


@given(st.binary(max_size=200))
def test_a_note_is_followed_only_when_it_is_whole(junk: bytes) -> None:
    line = f"{'a' * 64} - - /x"
    note = f"kubenode-unproven 2\n{line}\nend\n".encode()
    assert read_note(note) == [Unproven("/x", "a" * 64, "-")]
    for cut in range(len(note)):
        assert read_note(note[:cut]) is None
    assert read_note(junk) is None
    if junk:
        assert read_note(note + junk) is None
