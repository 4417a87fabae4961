"""Change files on a host whole or not at all, so that a power cut loses nothing.

A file is staged beside its destination, synced, renamed, and its directory synced: at every instant
there is the old one or the new one. What it replaces, or removes, is kept before that in the same
way:

+ ``FILE.kubenode-backup`` is what was there before kubenode's first change, and stays for good
+ ``FILE.kubenode-backup.1`` and so on are what later changes replaced, the highest the latest. Of
  these the :data:`BACKUPS` latest stay. What a backup has already is not kept twice, and nothing is
  not kept: an empty file takes no backup's place
"""

from __future__ import annotations

import hashlib
import posixpath
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from pyinfra.api import StringCommand

from kubenode.files import host_lock
from kubenode.run import host_script

BACKUP_SUFFIX = ".kubenode-backup"
BACKUPS = 9

NOTHING = "-"
"""The sum of what is not there, and of what is empty."""

FUNCTIONS = host_script.read(
    __file__, "whole_file.sh", BACKUP_SUFFIX=BACKUP_SUFFIX, BACKUPS=BACKUPS
)


@dataclass(frozen=True)
class Change:
    """What becomes of a file.

    + path: absolute path; a symbolic link there is replaced, not followed: a link to ``/dev/null``
      is how a drop-in is masked, and writing through it would change nothing
    + old: what it is now, None when there is no such file; a mask is empty
    + new: its new content, None removes it
    + secret: it is for root alone (owner root, mode 0600), and so is what stays beside it; not even
      its sum is an argument, which all users of the host could read and try passwords on
    + was: the sum of what it is now, in place of *old*, where its content stays on the host
    """

    path: str
    old: bytes | None
    new: bytes | None
    secret: bool = False
    was: str | None = None

    def __post_init__(self) -> None:
        if not posixpath.isabs(self.path):
            raise ValueError(f"not an absolute path: {self.path}")

    @property
    def before(self) -> str:
        """The sum of what it is now."""
        return sum_of(self.old) if self.was is None else self.was


def sum_of(content: bytes | None) -> str:
    """sha256 of a file's content in hexadecimal, :data:`NOTHING` when there is none.

    + content: None when there is no such file
    """
    return hashlib.sha256(content).hexdigest() if content else NOTHING


def change(changes: Sequence[Change], between: str = "", after: str = "") -> StringCommand:
    """A command that changes files, and nothing when one is not what it was when that was planned.

    + changes: in the order in which they are made
    + between: sh that runs when all is staged and kept, and before anything is replaced; when it
      ends the shell, no file is changed
    + after: sh that runs when all is replaced, with the lock still held

    An existing file keeps its owner and mode, a new one is root's with mode 0644, a new directory
    has 0755. A secret one is root's with mode 0600 from the first instant. The command fails where
    there is a directory, a link to one, a pipe or a device. What is replaced or removed stays
    beside it, see the module.

    **Example:**

    .. code:: python

        yield whole_file.change([Change("/etc/modules-load.d/k8s.conf", None, b"overlay\\n")])
    """
    if not changes:
        return host_lock.under_lock("\n".join(filter(None, [between, after])))
    contents: list[bytes] = []
    sums, expect, stage, keep, commit = [], [], [], [], []
    for number, item in enumerate(changes, 1):
        path, old, new = shlex.quote(item.path), item.before, sum_of(item.new)
        if item.secret:
            contents.append(f"{old} {new}".encode())
            sums.append(f'sums_{number}=$(printf %s "$content_{len(contents)}" | base64 -d)')
            old, new = f'"${{sums_{number}% *}}"', f'"${{sums_{number}#* }}"'
        kind = " private" if item.secret else ""
        expect.append(f"expect {path} {old}")
        keep.append(
            f"keep {path}{kind} || fail {shlex.quote(f'cannot keep a backup of {item.path}')}: "
            f"no file was changed\nbackup_{number}=$backup"
        )
        if item.new is None:
            action, verb = f"remove {path} {old}", "remove"
        else:
            contents.append(item.new)
            stage.append(
                f'stage {path} {new} "$content_{len(contents)}" || '
                f"fail {shlex.quote(f'cannot write beside {item.path}')}: nothing was changed"
            )
            action, verb = f"commit {path} {old}{kind}", "replace"
        commit.append(
            f"{action} || fail {shlex.quote(f'cannot {verb} {item.path}')}: "
            f'"$(as_it_was {path} {old} "$backup_{number}")"'
        )
    steps = [
        *sums,
        *expect,
        *stage,
        *keep,
        *filter(None, [between]),
        *commit,
        *filter(None, [after]),
    ]
    return host_lock.under_lock("\n".join([FUNCTIONS.strip(), *steps]), contents)


_MOVE_AWAY = host_script.read(__file__, "move_away.sh")


def move_away(directories: Sequence[str]) -> StringCommand:
    """A command that gives directories the name of a backup, with all that is in them.

    + directories: absolute paths; one that does not exist is left out

    What is in ``DIRECTORY.kubenode-backup`` afterwards, or ``.1`` and so on where that is taken, is
    for root alone: it has mode 0700. A rename is whole by itself.
    """
    for path in directories:
        if not posixpath.isabs(path):
            raise ValueError(f"not an absolute path: {path}")
    script = host_script.filled(
        _MOVE_AWAY,
        DIRECTORIES=" ".join(map(shlex.quote, directories)),
        BACKUP_SUFFIX=BACKUP_SUFFIX,
    )
    return host_lock.under_lock(f"{FUNCTIONS.strip()}\n{script}")
