"""swap.off that is killed at any step: the next run finishes it, and the one after has no work."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kubenode.files import host_lock, whole_file
from kubenode.linux.swap import FSTAB, SwapAtBoot, lines_of
from kubenode.linux.swap_off import swap_off
from kubenode.operations import swap

HEAD = "Filename Type Size Used Priority\n"
LINE = "/swapfile none swap sw 0 0\n"
SERVICE = "swapspace.service"


class Machine:
    """Its files, and programs that stand in for swapoff and systemctl."""

    def __init__(self, folder: Path) -> None:
        self.fstab, self.swaps, self.service = folder / "fstab", folder / "swaps", folder / "active"
        self.fstab.write_text(LINE)
        self.swaps.write_text(f"{HEAD}/swapfile file 65532 0 -2\n")
        self.service.write_text("")
        self.programs = folder / "bin"
        self.programs.mkdir()
        # killed is the shell that runs the command
        limited, direct = 'kill -9 "${KUBENODE_LOOK%%.*}"', 'kill -9 "$PPID"'
        self.program("swapoff", limited, f"printf '{HEAD.strip()}\\n' >{self.swaps}")
        self.program(
            "systemctl",
            limited,
            f"case $1 in show) [ ! -e {self.service} ] || echo ActiveState=active;; "
            f"stop) rm {self.service};; esac",
        )
        for name in ("mv", "sync"):
            self.program(name, direct, f'/bin/{name} "$@"')

    def program(self, name: str, kill: str, script: str) -> None:
        path = self.programs / name
        path.write_text(
            f'#!/bin/sh\ncase "$KILL_AT" in {name} | "$1") {kill}; exit;; esac\n{script}\n'
        )
        path.chmod(0o755)

    def off(self, kill_at: str = "") -> int | None:
        """What swap.off does by what it reads; None where there is nothing to do."""
        text = self.fstab.read_text()
        to_do = swap_off(SwapAtBoot(files={FSTAB: lines_of(text)}), {FSTAB: text})
        running = [SERVICE] if self.service.exists() else []
        if not (self.swaps.read_text() != HEAD or to_do.edits or running):
            return None
        before, after = swap._steps(to_do, running)
        changes = [
            whole_file.Change(str(self.fstab), text.encode(), edit.new.encode())
            for edit in to_do.edits
        ]
        before = before.replace("swaps=/proc/swaps", f"swaps={self.swaps}")
        # as if systemd ran
        before = before.replace("/run/systemd/system", str(self.programs))
        command = whole_file.change(changes, before, after)
        path = f"{self.programs}:{os.environ['PATH']}"
        return subprocess.run(
            ["dash", "-c", command.get_raw_value()],
            input="".join(f"{line}\n" for line in command.connector_arguments.get("_stdin", [])),
            env={**os.environ, "PATH": path, "KILL_AT": kill_at},
            capture_output=True,
            text=True,
        ).returncode

    def is_done(self) -> bool:
        return (
            self.swaps.read_text() == HEAD
            and self.fstab.read_text() == f"# disabled by kubenode: {LINE}"
            and not self.service.exists()
        )


@pytest.mark.parametrize("kill_at", ["sync", "mv", "swapoff", "show", "stop", "daemon-reload"])
def test_the_next_run_finishes_what_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_at: str
) -> None:
    monkeypatch.setattr(host_lock, "DIRECTORY", str(tmp_path / "lock"))
    machine = Machine(tmp_path)
    assert machine.off(kill_at) == -9
    # once systemd is to read its units again, all else is done
    assert machine.is_done() is (kill_at == "daemon-reload")
    assert machine.off() in (0, None)
    assert machine.is_done()
    assert machine.off() is None
