"""The sh by which a host gets the CNI plugins of a release into a directory, each whole.

What is in that directory besides stays: Calico, Flannel and others install theirs there too. A
note has which release it was, so that a second run has nothing to do, and so that a plugin which
somebody else has replaced since is seen.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from pyinfra.api import StringCommand

from kubenode.files import host_lock, whole_file
from kubenode.packages import archive_change
from kubenode.packages.archive import ArchiveFile
from kubenode.run import host_script
from kubenode.wire import time_limit

NOTE = "/var/lib/kubenode/cni-plugins"
NOTE_BEGINS = "kubenode-cni-plugins 1"
NOTE_ENDS = "# end"

NAME = "[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
"""Of a plugin; what else a release has is for people: LICENSE, README.md."""

_HEAD = re.compile(
    rf"{re.escape(NOTE_BEGINS)} (?P<version>\S{{1,40}}) (?P<sum>[0-9a-f]{{64}}) (?P<directory>/\S*)"
)
_FILE = re.compile(rf"[0-9a-f]{{64}} [ *](?P<name>{NAME})")


@dataclass(frozen=True)
class Noted:
    """A release of the plugins that was installed.

    + version: its own
    + sha256: of its archive
    + directory: where they are
    + plugins: their names
    """

    version: str
    sha256: str
    directory: str
    plugins: tuple[str, ...]


def read_note(lines: list[str]) -> Noted | None:
    """What a note says; None when it is not whole, or none of kubenode's.

    + lines: of :data:`NOTE`
    """
    head = _HEAD.fullmatch(lines[0]) if lines else None
    files = [_FILE.fullmatch(line) for line in lines[1:-1]]
    if head is None or lines[-1] != NOTE_ENDS or not files or not all(files):
        return None
    names = tuple(found["name"] for found in files if found)
    return Noted(head["version"], head["sum"], head["directory"], names)


def change(version: str, file: ArchiveFile, directory: str) -> StringCommand:
    """A command that unpacks the plugins, and replaces each by one rename.

    + version: of the release
    + file: its archive, which waits on the host (:mod:`kubenode.packages.archive_transfer`)
    + directory: where they go

    Nothing is changed when the archive is not whole, has what no release has, or is for another
    architecture. An interrupted command leaves each plugin old or new, and the next one goes on.
    """
    script = host_script.read(
        __file__,
        "plugins_change.sh",
        FUNCTIONS="\n".join(
            [whole_file.FUNCTIONS, time_limit.FUNCTIONS, archive_change.STORE_FUNCTIONS]
        ),
        DIRECTORY=shlex.quote(directory),
        HEAD=shlex.quote(f"{NOTE_BEGINS} {version} {file.sha256} {directory}"),
        MOST_BLOCKS=archive_change.MOST_BLOCKS,
        NOTE=shlex.quote(NOTE),
        NOTE_ENDS=shlex.quote(NOTE_ENDS),
        STORE=shlex.quote(archive_change.STORE),
        SUM=file.sha256,
    )
    return host_lock.under_lock(script)
