"""How the files of a release come to a host: it fetches them, or the control machine sends them.

Either way they wait in :data:`kubenode.packages.archive_change.STORE`, each by its sha256, until
they are unpacked, and no more than one build's.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Literal

from pyinfra.api import FileUploadCommand, StringCommand

from kubenode.files import host_lock, whole_file
from kubenode.packages import archive_cache, archive_change
from kubenode.packages.archive import ArchiveFile
from kubenode.run import host_script
from kubenode.wire import time_limit

FETCH_SECONDS = 1200
"""How long a host may fetch one file."""

FetchedBy = Literal["host", "control"]
"""Who fetches: the host itself, or the control machine, which sends it then."""


def brought(
    files: Sequence[ArchiveFile], by: FetchedBy, is_executing: bool
) -> Iterator[StringCommand | FileUploadCommand]:
    """The commands that bring files to a host; none of them when there are no files.

    + files: of one build; those that wait there already are left out by the host itself
    + by: who fetches. What is on the control machine is sent from there in any case
    + is_executing: False while pyinfra only prepares: nothing is fetched then

    FetchError: the control machine cannot fetch one; it is raised before the first command.
    """
    sent = [file for file in files if by == "control" or file.is_local]
    paths = [archive_cache.fetched(file) if is_executing else "" for file in sent]
    if not files:
        return
    if sent:
        # what was sent and not accepted is not whole
        left = [
            f"rm -f {shlex.quote(f'{archive_change.STORE}/{file.sha256}.sent')}" for file in sent
        ]
        yield host_lock.under_lock(_script(files, left))
    for file, path in zip(sent, paths, strict=True):
        yield FileUploadCommand(str(path), f"{archive_change.STORE}/{file.sha256}.sent")
    yield host_lock.under_lock(
        _script(
            files,
            [
                f"accept {file.sha256} {shlex.quote(file.address)}"
                if file in sent
                else f"fetch {shlex.quote(file.address)} {file.sha256}"
                for file in files
            ],
        )
    )


def _script(files: Sequence[ArchiveFile], steps: Sequence[str]) -> str:
    return host_script.read(
        __file__,
        "archive_fetch.sh",
        FUNCTIONS="\n".join(
            [whole_file.FUNCTIONS, time_limit.FUNCTIONS, archive_change.STORE_FUNCTIONS]
        ),
        FETCH_SECONDS=FETCH_SECONDS,
        MOST_BLOCKS=archive_change.MOST_BLOCKS,
        STEPS="\n".join(steps),
        STORE=shlex.quote(archive_change.STORE),
        SUMS=" ".join(file.sha256 for file in files),
    )
