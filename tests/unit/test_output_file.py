"""A report goes where the caller wants it: devices, pipes and links stay what they are."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubenode.audit import output_file

ROOT = Path(__file__).parents[2]
NOBODY = 65534


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask() -> Iterator[None]:
    old = os.umask(0o027)
    yield
    os.umask(old)


def by_a_program(
    target: str, before: str = "", **keywords: int
) -> subprocess.CompletedProcess[str]:
    """Write "report" to *target* as a program of its own, and print a line afterwards."""
    program = f"""
import sys
import time
{before}
from kubenode.audit import output_file
print("before")
output_file.write({target!r}, "report\\n")
print("after")
"""
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path, umask: None) -> None:
    output_file.write(str(tmp_path / "a.json"), "é\n")
    assert (tmp_path / "a.json").read_text() == "é\n"
    assert mode(tmp_path / "a.json") == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("bits", [0o600, 0o666, 0o2644])
def test_a_file_keeps_mode_owner_and_attributes(tmp_path: Path, umask: None, bits: int) -> None:
    path = tmp_path / "a.json"
    path.write_text("old, and longer than the new one")
    # who is not root has no other owner to give
    uid, gid = (12345, 54321) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    os.chown(path, uid, gid)
    path.chmod(bits)
    os.setxattr(path, "user.note", b"kept")
    before = path.stat().st_ino
    output_file.write(str(path), "new")
    after = path.stat()
    assert path.read_text() == "new"
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (uid, gid, bits)
    assert os.getxattr(path, "user.note") == b"kept"
    assert after.st_ino != before, "it was not replaced in one step"


def test_links_stay_and_their_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there/target"
    target.write_text("old")
    target.chmod(0o600)
    (tmp_path / "second").symlink_to("there/target")
    (tmp_path / "first").symlink_to("second")
    output_file.write(str(tmp_path / "first"), "new")
    assert (tmp_path / "first").is_symlink()
    assert (tmp_path / "second").is_symlink()
    assert target.read_text() == "new"
    assert mode(target) == 0o600
    dangling = tmp_path / "dangling"
    dangling.symlink_to("there/made")
    output_file.write(str(dangling), "new")
    assert dangling.is_symlink()
    assert (tmp_path / "there/made").read_text() == "new"
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["made", "target"]


def test_a_file_with_several_names_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old, and longer")
    os.link(tmp_path / "a", tmp_path / "b")
    output_file.write(str(tmp_path / "a"), "new")
    assert (tmp_path / "b").read_text() == "new"
    assert (tmp_path / "b").stat().st_nlink == 2


def test_a_device_stays_a_device(tmp_path: Path) -> None:
    # as root of our own: what would replace it must not replace the machine's
    null, full = Path("/dev/null"), Path("/dev/full")
    if os.geteuid() == 0:
        null, full = tmp_path / "null", tmp_path / "full"
        os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(full, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    link = tmp_path / "link"
    link.symlink_to(null)
    for path in (null, link):
        output_file.write(str(path), "report")
    assert stat.S_ISCHR(null.stat().st_mode)
    assert null.stat().st_rdev == os.makedev(1, 3)
    with pytest.raises(OSError, match="No space left"):
        output_file.write(str(full), "report")


def test_a_pipe_is_written_through(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # no thread: where gevent has patched them, one that opens a pipe stops all
    arrived = tmp_path / "arrived"
    # into a file: into a pipe of ours, cat would wait for us while we wait for it
    with arrived.open("wb") as file:
        reader = subprocess.Popen(["cat", pipe], stdout=file)
    output_file.write(str(pipe), "report " * 100_000)
    # not by the end of cat, which gevent misses where it has patched subprocess
    deadline = time.monotonic() + 60
    while arrived.stat().st_size < 700_000 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert arrived.read_text() == "report " * 100_000
    reader.kill()
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    "name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/proc/thread-self/fd/1", "LINK"]
)
@pytest.mark.parametrize("kind", ["pipe", "file", "appended"])
def test_own_descriptors_are_written_in_order(tmp_path: Path, name: str, kind: str) -> None:
    if name == "LINK":
        (tmp_path / "link").symlink_to("/dev/stdout")
        name = str(tmp_path / "link")
    program = (
        "from kubenode.audit import output_file; print('before');"
        f"output_file.write({name!r}, 'report\\n'); print('after')"
    )
    redirection = {"pipe": "| cat", "file": "", "appended": ""}[kind]
    out = tmp_path / "out"
    out.write_text("old\n")
    to = {"pipe": "", "file": f"> {out}", "appended": f">> {out}"}[kind]
    done = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {to} {redirection}', sys.executable, program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    printed = done.stdout if kind == "pipe" else out.read_text()
    assert printed == ("old\n" if kind == "appended" else "") + "before\nreport\nafter\n"


def test_a_folder_that_is_closed_to_us(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("closed")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    ours, closed = folder / "ours", folder / "closed"
    ours.write_text("old, and longer")
    closed.write_text("old")
    become = ""
    if os.geteuid() == 0:
        # root is kept out of nothing
        for path in (folder, ours, closed):
            os.chown(path, NOBODY, NOBODY)
        become = f"import kubenode.audit.output_file, os; os.setgid({NOBODY}); os.setuid({NOBODY})"
    closed.chmod(0o444)
    # a file that is closed to us stays as it is, also where we could replace it
    assert "PermissionError" in by_a_program(str(closed), become).stderr
    assert closed.read_text() == "old"
    folder.chmod(0o555)
    done = by_a_program(str(ours), become)
    assert done.returncode == 0, done.stderr
    assert ours.read_text() == "report\n"
    assert "PermissionError" in by_a_program(str(folder / "new"), become).stderr
    folder.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a file of another user's to write to")
def test_a_file_whose_owner_we_could_not_keep(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("theirs")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    theirs = folder / "theirs"
    theirs.write_text("old, and longer")
    theirs.chmod(0o666)
    os.chown(folder, NOBODY, NOBODY)
    become = f"import kubenode.audit.output_file, os; os.setgid({NOBODY}); os.setuid({NOBODY})"
    assert by_a_program(str(theirs), become).returncode == 0
    assert (theirs.read_text(), theirs.stat().st_uid) == ("report\n", 0)


def test_what_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        output_file.write(str(tmp_path), "report")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        with pytest.raises(OSError, match="No such device"):
            output_file.write(str(tmp_path / "socket"), "report")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="Too many levels"):
        output_file.write(str(tmp_path / "loop"), "report")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loop", "socket"]
