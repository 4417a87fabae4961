"""The scripts that put a containerd configuration in place: checked first, undone if it fails.

All of it runs on the host in one command, under the host's lock. When the connection breaks, the
host still ends with a daemon that serves CRI, on the new configuration or on the old one. After a
power cut the next run finds a note of what was not proven yet, and begins with what was there
before.

The backups are on disk before the note, and the note before the first file is replaced. It names
for each file the sum of what the swap puts there, the sum of what was there, and the backup that
has it. So only what is still exactly the swap's gives way: a file that somebody edited since stays
as it is, with all the others, and so do all when a backup is gone.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyinfra.api import StringCommand

from kubenode.files import host_lock, whole_file
from kubenode.files.whole_file import BACKUP_SUFFIX
from kubenode.run import host_script

CRI_WAIT_SECONDS = 60
"""How long the daemon may take until CRI answers: a restart with many containers is slow."""

UNPROVEN_SUFFIX = ".kubenode-unproven"

_NOTE_BEGINS = "kubenode-unproven 2"
_NOTE_ENDS = "end"
_NOTE_LINE = (
    rf"([0-9a-f]{{64}}) ([0-9a-f]{{64}}|-) (-|{re.escape(BACKUP_SUFFIX)}|"
    rf"{re.escape(BACKUP_SUFFIX)}[.][1-9][0-9]*) (/.*)"
)

CRI_FUNCTIONS = host_script.read(__file__, "cri_functions.sh")

SWAP_FUNCTIONS = host_script.read(
    __file__,
    "swap_functions.sh",
    NOTE_WORD=_NOTE_BEGINS.split()[0],
    NOTE_ENDS=_NOTE_ENDS,
    NOTE_BEGINS=_NOTE_BEGINS,
    NOTE_LINE=_NOTE_LINE,
    BACKUP_SUFFIX=BACKUP_SUFFIX,
)
_SWAP = host_script.read(__file__, "swap.sh")
_BRING_UP = host_script.read(__file__, "bring_up.sh", CRI_WAIT_SECONDS=CRI_WAIT_SECONDS)
_UNDO = host_script.read(__file__, "undo.sh")


@dataclass(frozen=True)
class Unproven:
    """A file of a swap that was interrupted before CRI had answered with it.

    + path: the file
    + new: sum of what the swap puts there
    + old: sum of what was there, ``-`` when that was nothing
    """

    path: str
    new: str
    old: str


def read_note(content: bytes) -> list[Unproven] | None:
    """What a note says; None when it is not whole, or of another version.

    + content: of the file beside the main configuration with the suffix UNPROVEN_SUFFIX
    """
    lines = content.decode("utf-8", "replace").split("\n")
    if lines[:1] != [_NOTE_BEGINS] or lines[-2:] != [_NOTE_ENDS, ""]:
        return None
    matches = [re.fullmatch(_NOTE_LINE, line) for line in lines[1:-2]]
    if not all(matches):
        return None
    return [Unproven(match[4], match[1], match[2]) for match in matches if match]


def _head(program: str, socket: str) -> str:
    return f"""PATH={shlex.quote(posixpath.dirname(program))}:$PATH
socket={shlex.quote(socket)}
{CRI_FUNCTIONS.strip()}"""


def swap(
    files: Mapping[str, tuple[bytes | None, bytes]],
    main: str,
    program: str,
    socket: str,
    restart: bool,
) -> StringCommand:
    """A command that replaces configuration files of containerd, all or none.

    + files: content now (None: there is no such file) and new content, by path
    + main: path of the main configuration file
    + program: path of containerd; ``ctr`` is looked for beside it first
    + socket: path of the daemon's socket
    + restart: restart the daemon and wait until CRI answers (at most CRI_WAIT_SECONDS)

    The new main file is shown to ``containerd config dump`` before anything is replaced, and the
    whole afterwards. When containerd refuses either, or does not come up, the old files return (and
    the daemon with them) and the command fails with containerd's own words, and says whether they
    did return. Each file's predecessor stays beside it, see :mod:`kubenode.files.whole_file`;
    owner and mode are kept, a symbolic link is followed. Nothing is changed when a file is not
    what it was, or when another run was interrupted meanwhile.
    """
    stage, keep, put = [], [], []
    for number, (path, (old, new)) in enumerate(files.items(), 1):
        quoted, before, after = shlex.quote(path), whole_file.sum_of(old), whole_file.sum_of(new)
        cannot_write = shlex.quote(f"cannot write beside {path}: nothing was changed")
        stage.append(
            f"target_of {quoted} || fail {cannot_write}\n"
            f'expect "$target" {before}\n'
            f'stage "$target" {after} "$content_{number}" || fail {cannot_write}'
        )
        if path == main:
            stage.append(
                'why=$(dump "$temp") ||\n'
                '  fail "containerd refuses the new configuration, nothing was changed: $why"'
            )
        keep.append(
            f'target_of {quoted} && keep "$target" || '
            f"fail {shlex.quote(f'cannot keep a backup of {path}: nothing was changed')}\n"
            f'suffix=${{backup#"$target"}}\n'
            f'lines="${{lines}}{after} {before} ${{suffix:--}} "{quoted}"$nl"'
        )
        put.append(
            f'why=$({{ target_of {quoted} && commit "$target" {before}; }} 2>&1) || {{\n'
            f"  revert\n"
            f'  fail {shlex.quote(f"cannot replace {path}")} "($why): $outcome"\n}}'
        )
    parts = [
        whole_file.FUNCTIONS.strip(),
        _head(program, socket),
        SWAP_FUNCTIONS.strip(),
        host_script.filled(
            _SWAP,
            NOTE=shlex.quote(f"{main}{UNPROVEN_SUFFIX}"),
            NOTE_BEGINS=_NOTE_BEGINS,
            NOTE_ENDS=_NOTE_ENDS,
            MAIN=shlex.quote(main),
            STAGE="\n".join(stage),
            KEEP="\n".join(keep),
            PUT="\n".join(put),
        ),
    ]
    if restart:
        parts.append(_BRING_UP)
    last = (
        'forget || fail "the new configuration is in place and works, and $note cannot be removed"'
    )
    return host_lock.under_lock("\n".join([*parts, last]), [new for _, new in files.values()])


def undo(main: str, program: str, socket: str) -> StringCommand:
    """A command that brings back what was there before a swap that was interrupted.

    + main: path of the main configuration file
    + program: path of containerd
    + socket: path of the daemon's socket

    Only what is still exactly what that swap put there gives way; otherwise all files stay as they
    are, the note is dropped, and standard error says why: what follows works on the files there
    are. The command fails when a file should have given way and did not. The daemon is not
    restarted: what it runs with is proven by the swap that follows.
    """
    return host_lock.under_lock(
        "\n".join(
            [
                whole_file.FUNCTIONS.strip(),
                _head(program, socket),
                SWAP_FUNCTIONS.strip(),
                host_script.filled(_UNDO, NOTE=shlex.quote(f"{main}{UNPROVEN_SUFFIX}")),
            ]
        )
    )


def start(program: str, socket: str, steps: Sequence[str]) -> StringCommand:
    """A command that runs *steps* and then waits until CRI answers.

    + program: path of containerd; ``ctr`` is looked for beside it first
    + socket: path of the daemon's socket
    + steps: commands, such as ``systemctl start containerd.service``
    """
    return host_lock.under_lock(
        f"""{_head(program, socket)}
{{ {" && ".join(steps)}; }} || {{ last_words >&2; exit 1; }}
wait_for_cri {CRI_WAIT_SECONDS} ||
  fail "containerd runs, and CRI does not answer within {CRI_WAIT_SECONDS} s: $(last_words)\""""
    )
