"""The file system that a directory is on, as df(1) and ``/proc/self/mounts`` say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypedDict

from kubenode.run import host_script
from kubenode.wire.reading import Reading


class FileSystemShape(TypedDict):
    """Where a directory lives."""

    kind: str | None
    """File system type, such as ``ext4``."""
    mount: str
    size_kib: int
    free_kib: int
    free_inodes_percent: int | None
    """None where the file system has no fixed number of inodes."""
    options: list[str]
    """Mount options without a value, such as ``noexec``."""


ASK = host_script.read(__file__, "file_systems.sh")
"""For :attr:`kubenode.wire.probe.Script.shared`."""


def parse(
    reading: Reading,
    directories: Sequence[str],
    mounted: Mapping[str, tuple[str, list[str]]],
) -> dict[str, FileSystemShape]:
    """Where each directory is, of those that df answered for.

    + reading: of a probe that called ``space`` with these directories
    + directories: the names to give them in the result
    + mounted: :func:`kubenode.facts.mounts.mounted`
    """
    inodes = [_df(line) for line in reading.text("inodes")[1:]]
    shapes: dict[str, FileSystemShape] = {}
    for index, line in enumerate(reading.text("df")[1:]):
        row = _df(line)
        if row is None or index >= len(directories):
            break
        size, free, mount = row
        row_of_inodes = inodes[index] if index < len(inodes) else None
        percent = None
        if row_of_inodes and row_of_inodes[0] > 0:
            percent = row_of_inodes[1] * 100 // row_of_inodes[0]
        kind, options = mounted.get(mount, (None, []))
        shapes[directories[index]] = {
            "kind": kind,
            "mount": mount,
            "size_kib": size,
            "free_kib": free,
            "free_inodes_percent": percent,
            "options": [option for option in options if "=" not in option],
        }
    return shapes


def _df(line: str) -> tuple[int, int, str] | None:
    """Size, free and mount point of a line of ``df -P``; the device's name may have blanks."""
    # possessive: a line may be a megabyte of blanks
    found = re.search(r" (\d{1,18}+) ++\d++ ++(\d{1,18}+) ++(?:\d++%|-) ++(/.*)", line)
    return (int(found[1]), int(found[2]), found[3]) if found else None
