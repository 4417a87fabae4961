"""The scripts that put a runtime's configuration in place: checked first, undone if it fails.

What its own programs say of a file, and whether CRI answers, is a runtime's own sh: see
:class:`Daemon`.

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

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pyinfra.api import StringCommand

from kubenode.files import host_lock, whole_file
from kubenode.files.whole_file import BACKUP_SUFFIX, Change
from kubenode.run import host_script
from kubenode.wire import time_limit

CRI_WAIT_SECONDS = 60
"""How long the daemon may take until CRI answers: a restart with many containers is slow."""

PROGRAM_SECONDS = 20
"""How long a runtime's program may take to say something."""

UNPROVEN_SUFFIX = ".kubenode-unproven"

NOTE_BEGINS = "kubenode-unproven 2"
NOTE_ENDS = "end"
_NOTE_LINE = (
    rf"([0-9a-f]{{64}}) ([0-9a-f]{{64}}|-) (-|{re.escape(BACKUP_SUFFIX)}|"
    rf"{re.escape(BACKUP_SUFFIX)}[.][1-9][0-9]*) (/.*)"
)

CRI_FUNCTIONS = host_script.read(__file__, "cri_functions.sh", LIMITED=time_limit.FUNCTIONS.strip())

SWAP_FUNCTIONS = host_script.read(
    __file__,
    "swap_functions.sh",
    NOTE_WORD=NOTE_BEGINS.split()[0],
    NOTE_ENDS=NOTE_ENDS,
    NOTE_BEGINS=NOTE_BEGINS,
    NOTE_LINE=_NOTE_LINE,
    BACKUP_SUFFIX=BACKUP_SUFFIX,
)
_SWAP = host_script.read(__file__, "swap.sh")
_BRING_UP = host_script.read(__file__, "bring_up.sh")
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
    if lines[:1] != [NOTE_BEGINS] or lines[-2:] != [NOTE_ENDS, ""]:
        return None
    matches = [re.fullmatch(_NOTE_LINE, line) for line in lines[1:-2]]
    if not all(matches):
        return None
    return [Unproven(match[4], match[1], match[2]) for match in matches if match]


@dataclass(frozen=True)
class Daemon:
    """What the scripts have to know of a runtime.

    + name: as messages call it
    + unit: what is restarted, and has its log
    + also: units that are restarted with it, since they read its configuration too
    + functions: sh that defines two functions, and the variables they need. ``check FILE`` fails
      when the daemon would not take the file as its main configuration, and prints why.
      ``cri_serves`` succeeds when CRI answers. Both may call ``limited SECONDS
      COMMAND...`` (:mod:`kubenode.wire.time_limit`); :data:`PROGRAM_SECONDS` are enough
    + programs: what they call besides the daemon itself
    + proof: one more function of *functions*, called with the main file once all are in place: it
      fails, and prints why, when the daemon does not make of them what was meant. Empty is none
    + serves: what ``cri_serves`` tells of it, for messages
    """

    name: str
    unit: str
    functions: str
    programs: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    proof: str = ""
    serves: str = "serves CRI"

    @property
    def units(self) -> str:
        """The units that are restarted, as words of sh."""
        return shlex.join((self.unit, *self.also))

    @property
    def head(self) -> str:
        """The sh that all scripts of this daemon begin with."""
        also = f"\nunits={shlex.quote(self.units)}" if self.also else ""
        return f"""unit={shlex.quote(self.unit)}{also}
{CRI_FUNCTIONS.strip()}
{self.functions.strip()}"""


def swap(
    files: Mapping[str, tuple[bytes | None, bytes]],
    main: str,
    daemon: Daemon,
    restart: bool,
    also: Sequence[Change] = (),
) -> StringCommand:
    """A command that replaces configuration files of a runtime, all or none.

    + files: content now (None: there is no such file) and new content, by path
    + main: path of the main configuration file
    + daemon: the runtime's
    + restart: restart the daemon and wait until CRI answers (at most CRI_WAIT_SECONDS)
    + also: files of its unit, which get a new content and may be secret; with these systemd reads
      its units again

    The new main file is checked before anything is replaced, and the whole afterwards. When the
    daemon refuses either, or does not come up, the old files return (and the daemon with them) and
    the command fails with the daemon's own words, and says whether they did return. Each file's
    predecessor stays beside it, see :mod:`kubenode.files.whole_file`; owner and mode are kept, a
    symbolic link is followed. Nothing is changed when a file is not what it was, or when another
    run was interrupted meanwhile.
    """
    items = items_of(files)
    contents = [new for _, new in files.values()]
    sums = []
    for change in also:
        if change.new is None:
            raise ValueError(f"{change.path}: a swap removes no file")
        item = Item(len(contents) + 1, change.path, change.before, whole_file.sum_of(change.new))
        contents.append(change.new)
        if change.secret:
            # as arguments are for everybody to read, see Change
            number = len(contents) + 1
            contents.append(f"{item.before} {item.after}".encode())
            sums.append(f'sums_{number}=$(printf %s "$content_{number}" | base64 -d)')
            before, after = f"${{sums_{number}% *}}", f"${{sums_{number}#* }}"
            item = Item(item.number, item.path, before, after, secret=True)
        items.append(item)
    reload = "systemctl daemon-reload" if also else ""
    stage = [each.staged() + (_checked(daemon) if each.path == main else "") for each in items]
    parts = [
        whole_file.FUNCTIONS.strip(),
        daemon.head,
        SWAP_FUNCTIONS.strip(),
        *sums,
        host_script.filled(
            _SWAP,
            NOTE=shlex.quote(f"{main}{UNPROVEN_SUFFIX}"),
            NOTE_BEGINS=NOTE_BEGINS,
            NOTE_ENDS=NOTE_ENDS,
            PROGRAMS=" ".join([*daemon.programs, "grep", "head", "readlink", "tail"]),
            DAEMON=daemon.name,
            MAIN=shlex.quote(main),
            PROOF=f" && why=$(told {daemon.proof} {shlex.quote(main)})" if daemon.proof else "",
            STAGE=_lines(stage),
            KEEP=_lines(each.kept() for each in items),
            PUT=_lines(each.put() for each in items),
        ),
    ]
    if restart:
        parts.append(
            host_script.filled(
                _BRING_UP,
                UNITS=daemon.units,
                DAEMON=daemon.name,
                CRI_WAIT_SECONDS=CRI_WAIT_SECONDS,
                SERVES=daemon.serves,
                RELOAD=f"{reload}; " if reload else "",
            )
        )
    elif reload:
        parts.append(reload)
    parts.append(
        'forget || fail "the new configuration is in place and works, and $note cannot be removed"'
    )
    return host_lock.under_lock(_lines(parts), contents)


def _lines(scripts: Iterable[str]) -> str:
    return "\n".join(scripts)


def items_of(files: Mapping[str, tuple[bytes | None, bytes]]) -> list[Item]:
    """The files of a swap, numbered as their contents are sent.

    + files: content now (None: there is no such file) and new content, by path
    """
    return [
        Item(number, path, whole_file.sum_of(old), whole_file.sum_of(new))
        for number, (path, (old, new)) in enumerate(files.items(), 1)
    ]


@dataclass(frozen=True)
class Item:
    """A file of a swap: its number, its path, and the sums of what it is and will be."""

    number: int
    path: str
    before: str
    after: str
    secret: bool = False
    """Whether it is for root alone, and so is what is kept of it."""

    @property
    def _kind(self) -> str:
        return " private" if self.secret else ""

    @staticmethod
    def _word(text: str) -> str:
        return f'"{text}"' if text.startswith("$") else text

    def staged(self) -> str:
        """sh that stages it in ``$temp``, when the file is still what was expected."""
        quoted = shlex.quote(self.path)
        cannot_write = shlex.quote(f"cannot write beside {self.path}: nothing was changed")
        return (
            f"target_of {quoted} || fail {cannot_write}\n"
            f'expect "$target" {self._word(self.before)}\n'
            f'stage "$target" {self._word(self.after)} "$content_{self.number}" || '
            f"fail {cannot_write}"
        )

    def kept(self) -> str:
        """sh that keeps what is there, and adds a line for the note to ``$lines``."""
        quoted = shlex.quote(self.path)
        cannot_keep = shlex.quote(f"cannot keep a backup of {self.path}: nothing was changed")
        return (
            f'target_of {quoted} && keep "$target"{self._kind} || fail {cannot_keep}\n'
            f'suffix=${{backup#"$target"}}\n'
            f'lines="${{lines}}{self.after} {self.before} ${{suffix:--}} "{quoted}"$nl"'
        )

    def put(self, back: str = "revert") -> str:
        """sh that puts it in place.

        + back: the function that brings back what was there, and says so in ``$outcome``
        """
        return (
            f"why=$({{ target_of {shlex.quote(self.path)} && "
            f'commit "$target" {self._word(self.before)}{self._kind}; }} 2>&1) || {{\n'
            f"  {back}\n"
            f'  fail {shlex.quote(f"cannot replace {self.path}")} "($why): $outcome"\n}}'
        )


def _checked(daemon: Daemon) -> str:
    return (
        '\nwhy=$(told check "$temp") ||\n'
        f'  fail "{daemon.name} refuses the new configuration, nothing was changed: $why"'
    )


def undo(main: str) -> StringCommand:
    """A command that brings back what was there before a swap that was interrupted.

    + main: path of the main configuration file

    Only what is still exactly what that swap put there gives way; otherwise all files stay as they
    are, the note is dropped, and standard error says why: what follows works on the files there
    are. The command fails when a file should have given way and did not. The daemon is not
    restarted: what it runs with is proven by the swap that follows.
    """
    return host_lock.under_lock(
        _lines(
            [
                whole_file.FUNCTIONS.strip(),
                SWAP_FUNCTIONS.strip(),
                host_script.filled(_UNDO, NOTE=shlex.quote(f"{main}{UNPROVEN_SUFFIX}")),
            ]
        )
    )


def start(daemon: Daemon, steps: Sequence[str]) -> StringCommand:
    """A command that runs *steps* and then waits until CRI answers.

    + daemon: the runtime's
    + steps: commands, such as ``systemctl start containerd.service``
    """
    # systemctl syncs none of the links that it makes
    synced = "\nsync" if any(" enable " in step for step in steps) else ""
    return host_lock.under_lock(
        f"""{daemon.head}
{{ {" && ".join(steps)}; }} || {{ last_words >&2; exit 1; }}{synced}
wait_for_cri {CRI_WAIT_SECONDS} ||
  fail "{daemon.name} runs, and CRI does not answer within {CRI_WAIT_SECONDS} s: $(last_words)\""""
    )
