"""A target as this machine's root sees it: its files and processes, with nothing run in it."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.targets.container import Target

_LOOK_SECONDS = 0.002


@dataclass(frozen=True)
class Process:
    """A process of the target, by this machine's number."""

    pid: int
    parent: int
    name: str
    command: str
    """Its arguments, one blank between them."""

    def kill(self) -> bool:
        """End it by SIGKILL; False when it was gone already."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True


@dataclass(frozen=True)
class File:
    """A file at one moment."""

    content: bytes
    owner: tuple[int, int]
    mode: int


class Host:
    """A target that runs and does not reboot."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._pid = target.pid
        self._root = f"/proc/{self._pid}/root"
        self._namespace = os.readlink(f"/proc/{self._pid}/ns/pid")

    def file(self, path: str) -> File | None:
        """A file, None when there is none; OSError when it is a link, a directory or a device."""
        try:
            descriptor = os.open(f"{self._root}{path}", os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        with open(descriptor, "rb") as opened:
            status = os.fstat(descriptor)
            owner = status.st_uid, status.st_gid
            return File(opened.read(), owner, stat.S_IMODE(status.st_mode))

    def read(self, path: str) -> bytes | None:
        """The content of a file, None when there is none."""
        file = self.file(path)
        return None if file is None else file.content

    def exists(self, path: str) -> bool:
        """Whether there is anything at a path without links."""
        return os.path.exists(f"{self._root}{path}")

    def write(self, path: str, content: bytes) -> None:
        """Make *content* that of a file in one step, as an editor does; owner and mode stay."""
        place = Path(f"{self._root}{path}")
        place.parent.mkdir(parents=True, exist_ok=True)
        old = self.file(path)
        beside = place.with_name(f"{place.name}.edited")
        beside.write_bytes(content)
        beside.chmod(old.mode if old else 0o644)
        if old:
            os.chown(beside, *old.owner)
        beside.rename(place)

    def names(self, folder: str) -> Iterator[str]:
        """The paths of all that is below a folder and is no folder itself."""
        for place, _, names in os.walk(f"{self._root}{folder}"):
            for name in names:
                yield os.path.join(place, name).removeprefix(self._root)

    def listens(self, path: str) -> bool:
        """Whether a program listens on a Unix socket."""
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(f"{self._root}{path}")
            except OSError:
                return False
        return True

    def processes(self) -> list[Process]:
        """The processes of the target, without those of its containers."""
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdecimal():
                continue
            with suppress(OSError):
                if os.readlink(f"/proc/{entry}/ns/pid") != self._namespace:
                    continue
                name, parent = _name_and_parent(Path(f"/proc/{entry}/stat").read_text())
                arguments = Path(f"/proc/{entry}/cmdline").read_bytes().rstrip(b"\0")
                command = arguments.replace(b"\0", b" ").decode(errors="replace")
                found.append(Process(int(entry), parent, name, command))
        return found

    @contextmanager
    def watched(self, paths: Iterable[str]) -> Iterator[dict[str, set[bytes | None]]]:
        """Look at files all the time; what each held, by path. Complete once the context ends."""
        seen: dict[str, set[bytes | None]] = {path: set() for path in paths}
        stop = threading.Event()

        def look() -> None:
            last: dict[str, tuple[int, int, int] | None] = {}
            while True:
                stopped = stop.is_set()
                for path, contents in seen.items():
                    try:
                        status = os.lstat(f"{self._root}{path}")
                        now = status.st_ino, status.st_mtime_ns, status.st_size
                    except OSError:
                        now = None
                    if path in last and last[path] == now:
                        continue
                    last[path] = now
                    with suppress(OSError):
                        contents.add(self.read(path))
                if stopped:
                    return
                stop.wait(_LOOK_SECONDS)

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        try:
            yield seen
        finally:
            stop.set()
            looking.join()


def _name_and_parent(status: str) -> tuple[str, int]:
    """The second and the fourth field of /proc/PID/stat (proc_pid_stat(5))."""
    found = re.match(r"\d+ \((.*)\) \S (\d+) ", status, re.DOTALL)
    assert found is not None, status
    return found[1], int(found[2])
