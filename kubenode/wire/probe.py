"""The wire format between a read-only shell script on a host and the code that reads its output.

A host is a stranger: a file on it may hold binary junk, terminal escapes or lines that look like
ours. So every line of foreign text travels with a ``|`` in front and cannot be taken for structure,
every byte outside printable ASCII becomes ``?`` (pyinfra decodes output as strict UTF-8 and loses
the rest of it on a bad byte), and a probe counts only when its closing line arrived.

The login shell is a stranger too: it prints before, after and into what we print. So the command
keeps its answer until it is complete, and seals it: the answer counts when it names the command it
is to, and has the size and the checksum that the host has worked out (``cksum``). ::

    %answer COMMAND SUM SIZE        on a line of its own; the answer follows
    %answer COMMAND missing NAME... programs that it takes to answer at all

What is in an answer, one item a line::

    %begin NAME             a probe's output starts; NAME is "shared" for what all probes share
    %missing PROGRAM        a program that is needed here and is not on the host
    %value KEY text         one short value
    %text KEY               lines of text follow, each behind "|"
    %exact KEY              bytes follow, base64, each line behind "|"
    %lines KEY KEY...       lines of several texts follow, each behind "|KEY:"
    %files                  "|SIZE KEY" of several items, and behind "%bytes" all their bytes as one
    %done                   ... and were read to the end
    %failed                 ... and were not: the item exists and could not be read
    %unreadable KEY         an item that exists, or may exist, and was not even opened
    %absent KEY             an item that does not exist, as the kernel says
    %directory KEY          a directory of which all was sent
    %end NAME               the probe's output is complete

"Unreadable" is never "absent": a file, directory or unit that a script states and that the answer
says nothing of is unreadable, and a probe is left out that does not answer for all it has to, or
lacks a program.

On the host a process costs more than what it does here: a millisecond each, and a hundred times
that where a CPU is emulated. So probes state what files they want, and all are read at once by a
few processes; only where that goes wrong, or meets something odd, each is read on its own.

No command outlives its use: each program that may hang has its own limit of time, and a watch ends
all that the command started when it takes too long, or when nobody listens any more. What was cut
off is unknown. The shell's own memory has a limit, so that no program's output fills the host.

The script side is POSIX sh and uses only :data:`PROGRAMS`, and what a script states.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from kubenode.run import host_script
from kubenode.wire import shell_command, time_limit

PROGRAMS = (
    "base64", "cat", "cksum", "find", "grep", "head", "ls", "readlink", "sleep", "tr", "wc",
)  # fmt: skip
"""What every command calls: where one of these is missing, nothing is known of the host."""

SYSTEMCTL = "systemctl"
"""What is called for units, where systemd runs."""

DIRECTORIES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for behind the user's own PATH."""

MOST_SECONDS = 50
"""How long a command may run on a host; less than the audit waits for one."""
MOST_MEMORY_KIB = 128 * 1024
"""Of a shell of ours: of what it takes in from a program above all."""
MOST_CAPTURED = 256 * 1024
"""Bytes of one program's output."""

_COMMAND = "@command@"

_REMARK = re.compile(r"^[ ]*#.*\n", re.MULTILINE)
"""A line for people. No line of a text between quotes begins so."""

_WATCH = host_script.read(
    __file__, "watch.sh", DIRECTORIES=DIRECTORIES, MOST_SECONDS=MOST_SECONDS, SWEEP=time_limit.SWEEP
)
_LOOK = host_script.read(__file__, "look.sh")

_SHELL_FUNCTIONS = (
    host_script.read(
        __file__,
        "functions.sh",
        LEAST_CUT=MOST_CAPTURED - 1,
        MOST_CAPTURED=MOST_CAPTURED,
        MOST_MEMORY_KIB=MOST_MEMORY_KIB,
        LIMITED=time_limit.LIMITED,
        SWEEP=time_limit.SWEEP,
    )
    + "\n"
)
"""What a probe's script may call.

+ ``value KEY TEXT``: send one short value
+ ``said KEY TEXT``: send text, without its empty lines
+ ``matching PATTERN PATH...``: send the lines of files that match, by path, with one process; paths
  have no blanks in them
+ ``unreadable KEY``: say that an item could not be read
+ ``trusted PATH...``: whether root alone decides what is at these paths, links and directories on
  the way included; ``$distrust`` says what is not so. One process, and one for each link
+ ``learn PATH...``: of paths that a host's files or processes name, set ``$learned`` to the lines
  of those that may be read: regular files that are ``trusted``. The others are unreadable, and why
  is text under ``untrusted:PATH``
+ ``exact PATH``: send a file's bytes; nothing when there is no such file. A device (``/dev/null``)
  and a dangling link are empty text: both mask a drop-in of the same name. A file above 1 MiB, and
  one that may be there behind a directory that cannot be searched, are unreadable
+ ``linked PATH``: send where a link to a file leads, as text under ``real:PATH``
+ ``unit NAME``: set ``$paragraph`` to what systemctl said of one of the script's units
+ ``absent KEY``: say that an item does not exist
+ ``need PROGRAM``: whether a program is there; without it all that the probe says does not count
+ ``limited SECONDS COMMAND...``: run a program, not longer than that. Without it a program does
  not end before the whole command does
+ ``captured COMMAND...``: set ``$output`` to what it prints and ``$status`` to its exit code, to
  ``late`` where *limited* ended it. A shell that it prints too much for ends, with its probe
+ ``captured_part COMMAND...``: the same for what may print without end, of which
  :data:`MOST_CAPTURED` bytes are taken; where that is not all *status* is ``cut``. A code that is
  not 0 is 1

What :class:`Script` states is read before, for all probes at once, by the rest of them.
"""

SHARED = "shared"
"""The name under which the wire has what all probes share."""

MOST_BYTES = 8 * 1024 * 1024
"""What a host may answer to one command; the rest is cut off on the host."""
MOST_LINES = 200_000
MOST_ITEMS = 4096
"""Files and values of one probe, or of what all share. A node has some hundred."""


@dataclass(frozen=True)
class Script:
    """What a probe reads on a host.

    + shell: sh that reads what the rest cannot state, see ``_SHELL_FUNCTIONS`` for what it may call
    + files: paths; each is sent under the rules of ``exact PATH``
    + directories: of each, every ``*.conf`` as one of *files*, but no directories, and nothing
      below ``/lib`` where that is a link. Where a link leads is text under ``real:PATH``. A name
      outside printable ASCII makes its directory unreadable
    + kernel_files: paths without blanks in ``/proc`` and ``/sys``, sent as text
    + units: systemd units, of which ``systemctl show`` is text under ``unit:NAME``, unreadable when
      it said nothing. Where systemd does not run nothing is sent
    + properties: those of the units, besides ``LoadState``
    + shared: sh that is run once before all probes, for several of them; what it sends and the
      variables it sets are there for each. It must not end the shell
    + programs: what *shell* and *shared* call besides :data:`PROGRAMS`; where one is missing the
      probe is left out
    + at_times: the same, of what they call on some hosts only, behind a ``need PROGRAM`` of theirs
    + answers: keys that the answer has to have, as a value, a text, unreadable or absent

    Scripts of one command share what they read: each thing is read once, whoever states it.
    """

    shell: str = ""
    files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    kernel_files: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    at_times: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()

    def items(self) -> Iterator[str]:
        """The keys that a host answers for whatever it is like."""
        yield from (*self.files, *self.directories, *self.kernel_files)
        yield from (f"unit:{name}" for name in self.units)


def command(scripts: Mapping[str, Script]) -> str:
    """One shell command that runs several probes' scripts, each shut off from the others.

    + scripts: by probe name

    Whether a probe succeeded is in the command's output. Its own exit code says only whether it was
    run: it is not 0 where the login shell or sudo did not pass it on.
    """
    return _command(tuple(scripts.items()))


# most hosts are asked the same
@lru_cache(maxsize=64)
def _command(scripts: tuple[tuple[str, Script], ...]) -> str:
    return shell_command.portable(_look(scripts).replace(_COMMAND, _identity(scripts)))


def _look(scripts: tuple[tuple[str, Script], ...]) -> str:
    probes = "\n".join(
        f"( printf '%%begin {name}\\n'\n{script.shell.strip()}\nprintf '%%end {name}\\n' )"
        for name, script in scripts
    )
    shared = _shared([script for _, script in scripts])
    # all of it has to fit into one argument of execve(2), which takes 128 KiB
    body = _REMARK.sub("", f"{_SHELL_FUNCTIONS}{shared}{probes}\n")
    return host_script.filled(
        _LOOK,
        BODY=shlex.quote(body),
        COMMAND=_COMMAND,
        MOST_BYTES=MOST_BYTES,
        PROGRAMS=" ".join(PROGRAMS),
        WATCH=_WATCH,
    )


def _shared(scripts: Sequence[Script]) -> str:
    def union(name: str) -> list[str]:
        return list(dict.fromkeys(item for script in scripts for item in getattr(script, name)))

    wanted = [f"need {program}\n" for program in union("programs")]
    paths = [
        f"{want} {shlex.quote(path)}\n"
        for want, name in (
            ("want", "files"),
            ("want_directory", "directories"),
            ("want_kernel_file", "kernel_files"),
        )
        for path in union(name)
    ]
    if paths:
        wanted += [*paths, "send_wanted\n"]
    if units := union("units"):
        properties = " ".join(f"-p {name}" for name in ("LoadState", *union("properties")))
        words = f"{shlex.quote(properties)} {shlex.quote(' '.join(units))}"
        none = " ".join(f"unit:{name}" for name in units)
        wanted.append(
            f"if [ -d /run/systemd/system ]; then send_units {words}\n"
            f"else printf '%%absent %s\\n' {none}; fi\n"
        )
    lines = [*wanted, *(f"{shell.strip()}\n" for shell in union("shared"))]
    return f"printf '%%begin {SHARED}\\n'\n{''.join(lines)}printf '%%end {SHARED}\\n'\n"


def script(scripts: Mapping[str, Script]) -> str:
    """The POSIX sh that :func:`command` has a host run."""
    asked = tuple(scripts.items())
    return _look(asked).replace(_COMMAND, _identity(asked))


def identity(scripts: Mapping[str, Script]) -> str:
    """What an answer to these scripts is known by, and no answer to others."""
    return _identity(tuple(scripts.items()))


@lru_cache(maxsize=64)
def _identity(scripts: tuple[tuple[str, Script], ...]) -> str:
    return hashlib.sha256(_look(scripts).encode()).hexdigest()[:16]
