"""Power cuts at every write, on a file system that loses what was not synced.

The commands run on an ext4 of their own, on a loop device. What is in its backing file is what
would be on the disk after a power cut: the rest is in memory, as the file system writes by itself
only after minutes here, and does not guess which files matter (``noauto_da_alloc``). A copy of it
is taken before and after each call of a program that could write; each copy is then mounted, its
journal replayed, and judged: by what is on it, by the real undo, and by the real command again.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyinfra.api import StringCommand

from kubenode.files import host_lock, whole_file
from kubenode.files.whole_file import BACKUP_SUFFIX, Change
from kubenode.runtimes import config_swap
from kubenode.runtimes.containerd import proof
from tests.soak import loops

# as root, with loop devices: where Docker targets run
pytestmark = [pytest.mark.targets, pytest.mark.soak]

# busybox's shell calls its own programs, of which no copies could be taken
SHELLS = ("dash", "bash") if loops.is_soak() else ("dash",)
# in a sample, those after which something reaches the disk
WATCHED: tuple[str, ...] = ("sync", "mv", "rm", "systemctl")
if loops.is_soak():
    WATCHED += ("mkdir", "cp", "cat", "chmod", "chown", "containerd", "stat", "sha256sum", "base64")

OLD = {
    "etc/containerd/config.toml": b"version = 2\n" + b"# ours, with logins\n" * 500 + b"# end\n",
    "etc/containerd/conf.d/site.toml": b"# site\n# end\n",
}
NEW = {path: b"# kubenode's\n" + text for path, text in OLD.items()}
MAIN = "etc/containerd/config.toml"

# what a program does instead of itself
HONEST: Mapping[str, str] = {}
FILES_ONLY = {"sync": 'if [ ! -d "$1" ]; then exec /bin/sync "$@"; fi'}
DIRECTORIES_ONLY = {"sync": 'if [ -d "$1" ]; then exec /bin/sync "$@"; fi'}

_SERVES = "echo io.containerd.grpc.v1 cri linux/amd64 ok"
_DAEMON = {
    "containerd": 'path=${1#--config=}; [ "$(tail -n 1 "$path")" = "# end" ]',
    "ctr": _SERVES,
    "systemctl": ":",
    "journalctl": "echo said by the daemon",
}


@dataclass
class Disk:
    """A file system whose power can be cut."""

    folder: Path

    def __post_init__(self) -> None:
        self.image, self.root = self.folder / "disk.img", self.folder / "disk"
        self.programs, self.taken = self.folder / "bin", self.folder / "copies"
        for path in (self.root, self.programs, self.taken):
            path.mkdir()
        # small, so that a copy costs milliseconds
        _sh(f"mke2fs -q -t ext4 -b 1024 -J size=1 {self.image} 8M")
        self.mount(self.image)

    def mount(self, image: Path) -> None:
        _sh(f"mount -o loop,commit=300,noauto_da_alloc {image} {self.root}")

    def unmount(self) -> None:
        _sh(f"umount {self.root}")

    def write(self, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        _sh("sync")

    def read(self, path: str) -> bytes | None:
        target = self.root / path
        return target.read_bytes() if target.is_file() else None

    def install(self, instead: Mapping[str, str], watched: bool) -> None:
        """Put programs before the system's; *watched* ones take a copy before and after."""
        shutil.rmtree(self.programs)
        self.programs.mkdir()
        take = (
            f"number=$(printf %04d $(ls {self.taken} | wc -l))\n"
            f"cp --sparse=always {self.image} {self.taken}/$number\n"
        )
        for name in {*_DAEMON, *instead, *(WATCHED if watched else ())}:
            real = instead.get(name) or _DAEMON.get(name) or f'/bin/{name} "$@"'
            text = f"( {real}\n)\n"
            if watched and name in WATCHED:
                # with the system's programs: these would take copies of copies
                text = (
                    f"( PATH=/bin; {take})\n{text}status=$?\n( PATH=/bin; {take})\nexit $status\n"
                )
            (self.programs / name).write_text(f"#!/bin/sh\n{text}")
            (self.programs / name).chmod(0o755)

    def run(self, command: StringCommand, shell: str = "sh") -> subprocess.CompletedProcess[str]:
        lines = command.connector_arguments.get("_stdin", [])
        return subprocess.run(
            [*shell.split(), "-c", command.get_raw_value()],
            input="".join(f"{line}\n" for line in lines),
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": f"{self.programs}:{os.environ['PATH']}"},
        )

    def after_each_cut(self) -> Iterator[str]:
        """Mount each copy in turn; the last is the one of a cut when the command has ended."""
        shutil.copy(self.image, self.taken / "ended")
        self.unmount()
        self.install({}, watched=False)
        before = b""
        for copy in sorted(self.taken.iterdir()):
            content = copy.read_bytes()
            if content == before and copy.name != "ended":
                continue
            before = content
            self.mount(copy)
            try:
                yield copy.name
            finally:
                self.unmount()
        self.mount(self.image)


def _sh(script: str) -> None:
    subprocess.run(["sh", "-c", script], check=True)


@pytest.fixture(scope="module")
def figures() -> Iterator[Counter[str]]:
    """The cuts by what was cut, and the problems."""
    figures: Counter[str] = Counter()
    yield figures
    problems = figures.pop("problems", 0)
    loops.record(
        "power-cuts",
        cuts=figures.total(),
        problems=problems,
        shells=", ".join(SHELLS),
        **{f"cuts_of_{what}": cuts for what, cuts in figures.items()},
    )


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    monkeypatch.setattr(host_lock, "DIRECTORY", str(tmp_path / "lock"))
    monkeypatch.setattr(config_swap, "CRI_WAIT_SECONDS", 0)
    disk = Disk(tmp_path)
    try:
        yield disk
    finally:
        disk.unmount()


def swap(disk: Disk, now: Mapping[str, bytes | None], new: Mapping[str, bytes]) -> StringCommand:
    return config_swap.swap(
        {str(disk.root / path): (now[path], content) for path, content in new.items()},
        main=str(disk.root / MAIN),
        daemon=proof.daemon(str(disk.programs / "containerd"), "/nowhere"),
        restart=True,
    )


def undo(disk: Disk) -> StringCommand:
    return config_swap.undo(str(disk.root / MAIN))


def lost_by_a_swap(
    disk: Disk, at_the_end: Mapping[str, bytes], least: int = 6
) -> tuple[int, list[str]]:
    """How many cuts there were, and what went wrong after each; *least* is how many must differ."""
    problems = []
    cuts = noted = 0
    for cut in disk.after_each_cut():
        cuts += 1
        files = {path: disk.read(path) for path in OLD}
        for path, content in files.items():
            if content not in (OLD[path], NEW[path]):
                problems.append(f"{cut}: {path} is half-written: {content!r:.60}")
        if cut == "ended" and files != at_the_end:
            problems.append("what was reported is not on the disk")
        if disk.read(f"{MAIN}{config_swap.UNPROVEN_SUFFIX}") is not None:
            noted += 1
            finished = disk.run(undo(disk))
            files = {path: disk.read(path) for path in OLD}
            if finished.returncode != 0 or files != OLD:
                problems.append(f"{cut}: undo did not bring back what was there: {finished}")
        elif files not in (OLD, NEW):
            problems.append(f"{cut}: some files are new and some old, and there is no note")
        finished = disk.run(swap(disk, {path: disk.read(path) for path in OLD}, NEW))
        if finished.returncode != 0 or {path: disk.read(path) for path in OLD} != NEW:
            problems.append(f"{cut}: the next run did not converge: {finished}")
        for path in OLD:
            if disk.read(f"{path}{BACKUP_SUFFIX}") != OLD[path]:
                problems.append(f"{cut}: {path} as it was is nowhere")
        left = list(disk.root.rglob(".*.kubenode.*"))
        if left:
            problems.append(f"{cut}: left staged: {left}")
    # the test would see nothing if the copies were all alike
    assert cuts >= least, cuts
    assert noted > 1, noted
    return cuts, problems


def swapped(disk: Disk, instead: Mapping[str, str], shell: str, code: int = 0) -> None:
    disk.write(OLD)
    disk.install(instead, watched=True)
    finished = disk.run(swap(disk, OLD, NEW), shell)
    assert finished.returncode == code, finished


@pytest.mark.parametrize("shell", SHELLS)
def test_a_swap_loses_nothing(disk: Disk, figures: Counter[str], shell: str) -> None:
    swapped(disk, HONEST, shell)
    cuts, problems = lost_by_a_swap(disk, at_the_end=NEW)
    figures.update({"a_swap": cuts, "problems": len(problems)})
    assert problems == []


@pytest.mark.parametrize("shell", SHELLS)
def test_a_swap_that_is_undone_loses_nothing(disk: Disk, figures: Counter[str], shell: str) -> None:
    main = shlex.quote(str(disk.root / MAIN))
    fails = f'[ "$1" != restart ] || ! grep -q "kubenode\'s" {main}'
    swapped(disk, {"systemctl": fails}, shell, code=1)
    cuts, problems = lost_by_a_swap(disk, at_the_end=OLD)
    figures.update({"a_swap_that_is_undone": cuts, "problems": len(problems)})
    assert problems == []


@pytest.mark.parametrize("shell", SHELLS)
def test_an_undo_after_a_cut_may_be_cut_off_too(
    disk: Disk, figures: Counter[str], shell: str
) -> None:
    kill = {"systemctl": '[ "$1" != restart ] || kill -9 $(cat "$KUBENODE_TEST_PID")'}
    pid = disk.folder / "pid"
    disk.write(OLD)
    disk.install(kill, watched=False)
    command = swap(disk, OLD, NEW)
    script = f"export KUBENODE_TEST_PID={pid}; echo $$ >{pid};"
    finished = disk.run(StringCommand(script, command, **command.connector_arguments))
    assert finished.returncode == -9
    assert disk.read(f"{MAIN}{config_swap.UNPROVEN_SUFFIX}") is not None
    _sh("sync")
    disk.install(HONEST, watched=True)
    assert disk.run(undo(disk), shell).returncode == 0
    cuts, problems = lost_by_a_swap(disk, at_the_end=OLD, least=3)
    figures.update({"an_undo": cuts, "problems": len(problems)})
    assert problems == []


@pytest.mark.parametrize("instead", [FILES_ONLY, DIRECTORIES_ONLY], ids=["files", "directories"])
def test_where_not_all_is_synced_something_is_lost(disk: Disk, instead: Mapping[str, str]) -> None:
    """Control: this file system does lose what was not synced, and the tests above would see it."""
    swapped(disk, instead, "sh")
    _, problems = lost_by_a_swap(disk, at_the_end=NEW)
    assert problems != []


CONF, ORIGINAL = "etc/sysctl.d/z.conf", b"net.ipv4.ip_forward = 0\n" * 400
OWN, WANTED = "etc/sysctl.d/k8s.conf", b"net.ipv4.ip_forward = 1\n"


def changes(disk: Disk, now: Callable[[str], bytes | None]) -> StringCommand:
    return whole_file.change(
        [
            Change(str(disk.root / CONF), now(CONF), b"# disabled\n"),
            Change(str(disk.root / OWN), now(OWN), WANTED),
            Change(str(disk.root / "etc/gone.conf"), now("etc/gone.conf"), None),
        ]
    )


def lost_by_changes(disk: Disk) -> tuple[int, list[str]]:
    problems = []
    cuts = 0
    for cut in disk.after_each_cut():
        cuts += 1
        files = {path: disk.read(path) for path in (CONF, OWN, "etc/gone.conf")}
        kept = disk.read(f"{CONF}{BACKUP_SUFFIX}")
        if files[CONF] not in (ORIGINAL, b"# disabled\n") or files[OWN] not in (None, WANTED):
            problems.append(f"{cut}: half-written: {files!r:.200}")
        if files[CONF] != ORIGINAL and kept != ORIGINAL:
            problems.append(f"{cut}: the original is nowhere")
        gone = (files["etc/gone.conf"], disk.read(f"etc/gone.conf{BACKUP_SUFFIX}"))
        if b"going\n" not in gone:
            problems.append(f"{cut}: what was removed is nowhere")
        if cut == "ended" and files != {
            CONF: b"# disabled\n",
            OWN: WANTED,
            "etc/gone.conf": None,
        }:
            problems.append("what was reported is not on the disk")
        finished = disk.run(changes(disk, disk.read))
        if finished.returncode != 0 or disk.read(OWN) != WANTED:
            problems.append(f"{cut}: the next run did not converge: {finished}")
    assert cuts >= 4, cuts
    return cuts, problems


@pytest.mark.parametrize(
    ("instead", "is_lost"),
    [(HONEST, False), (FILES_ONLY, True), (DIRECTORIES_ONLY, True)],
    ids=["synced", "control-files", "control-directories"],
)
def test_changed_files_are_old_or_new(
    disk: Disk, figures: Counter[str], instead: Mapping[str, str], is_lost: bool
) -> None:
    disk.write({CONF: ORIGINAL, "etc/gone.conf": b"going\n"})
    disk.install(instead, watched=True)
    finished = disk.run(changes(disk, disk.read))
    assert finished.returncode == 0, finished
    cuts, problems = lost_by_changes(disk)
    if not is_lost:
        figures.update({"other_files": cuts, "problems": len(problems)})
    assert bool(problems) == is_lost, problems
