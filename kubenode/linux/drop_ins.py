"""Drop-in directories as systemd and kmod read them: which files count, and which are masked.

Sources: systemd's ``src/basic/conf-files.c``, sysctl.d(5), modules-load.d(5), modprobe.d(5).
"""

from __future__ import annotations

import re
from collections.abc import Collection


def in_force(files: Collection[str], directories: tuple[str, ...]) -> list[str]:
    """The drop-in files that count, sorted by name; masked ones are left out.

    + files: paths of all files found
    + directories: earlier ones mask later ones
    """
    by_name: dict[str, str] = {}
    place = {directory: number for number, directory in enumerate(directories)}
    parts = (path.rpartition("/") for path in files)
    found = [(place[parent], name) for parent, _, name in parts if parent in place]
    for number, name in sorted(found):
        if name.endswith(".conf") and not name.startswith("."):
            by_name.setdefault(name, f"{directories[number]}/{name}")
    return [by_name[name] for name in sorted(by_name, key=str.encode)]


def are_known(
    files: Collection[str], unreadable: Collection[str], directories: tuple[str, ...]
) -> bool:
    """Whether all that counts at boot could be read.

    + files: paths of all files found, those that could not be read too
    + unreadable: files and directories that could not be read
    + directories: earlier ones mask later ones; those in ``/run`` do not count at boot
    """
    read_at_boot = lasting(directories)
    return not any(path in unreadable for path in (*read_at_boot, *in_force(files, read_at_boot)))


def masked_by(path: str, files: Collection[str], directories: tuple[str, ...]) -> str | None:
    """The file of an earlier directory that keeps *path* from being read, None when none does."""
    parent, _, name = path.rpartition("/")
    for directory in directories[: directories.index(parent)] if parent in directories else ():
        if f"{directory}/{name}" in files:
            return f"{directory}/{name}"
    return None


def lasting(directories: tuple[str, ...]) -> tuple[str, ...]:
    """Those directories whose files are still there after a boot: ``/run`` is empty then."""
    return tuple(path for path in directories if not path.startswith("/run/"))


def check_path(path: object, directories: tuple[str, ...]) -> str:
    """*path* itself when a file there is read at every boot, ValueError if not.

    + path: where a drop-in shall be
    + directories: those that are read
    """
    # /lib is another name of /usr/lib on all but old hosts
    read = [path for path in lasting(directories) if not path.startswith("/lib/")]
    directory, _, name = path.rpartition("/") if isinstance(path, str) else ("", "", "")
    if directory not in read or not re.fullmatch(r"[A-Za-z0-9_@+-][A-Za-z0-9_@+.-]*[.]conf", name):
        raise ValueError(
            f"{path!r} would not be read at boot: expected a file *.conf "
            f"directly in {', '.join(read)}"
        )
    return str(path)
