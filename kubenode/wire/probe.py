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

import base64
import binascii
import dataclasses
import hashlib
import re
import shlex
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice

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
_MOST_KEPT = 16 * 1024

_FOREIGN = re.compile(r"[^\t\r\x20-\x7e]")

_KEY = re.compile(r"[!-~](?:[ -~]*[!-~])?")


class ProbeError(Exception):
    """A host's answer that is no answer: cut off, out of form, or without the probe asked for."""


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


@dataclass(frozen=True)
class Reading:
    """What one probe read on a host: values and texts by key, and what could not be read.

    What is in *exact* is in *texts* too. Of what a probe states as files, directories, kernel files
    and units nothing is left open: what is in none of these does not exist.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, list[str]] = field(default_factory=dict)
    exact: Mapping[str, bytes] = field(default_factory=dict)
    unreadable: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    """What the host says does not exist, and directories that were read."""

    def value(self, key: str) -> str | None:
        """The value sent for *key*, or None when there was none."""
        return self.values.get(key)

    def text(self, key: str) -> list[str]:
        """The lines sent for *key*, none when it was not sent: see :meth:`known` for what may be
        unreadable."""
        return self.texts.get(key, [])

    def known(self, *keys: str) -> Reading:
        """This reading; ProbeError where one of *keys* could not be read."""
        for key in keys:
            if self.is_unreadable(key):
                raise ProbeError(f"cannot read {key.removeprefix('unit:')} on the host")
        return self

    def unit(self, name: str) -> dict[str, str] | None:
        """Properties of a unit; None when systemd does not run. ProbeError when it said nothing."""
        key = f"unit:{name}"
        if key in self.unreadable:
            raise ProbeError(f"systemd does not say what it knows of {name}")
        if key not in self.texts:
            return None
        return dict(line.partition("=")[::2] for line in self.text(key) if "=" in line)

    def why_unreadable(self, path: str) -> str | None:
        """``not trusted: /home/bob belongs to uid 1000``; None when that is not the reason."""
        reason = " ".join(self.text(f"untrusted:{path}"))
        return f"not trusted: {reason}" if reason else None

    def is_unreadable(self, path: str) -> bool:
        """Whether *path*, or the directory it would be in, exists and could not be read."""
        return path in self.unreadable or path.rpartition("/")[0] in self.unreadable


class Readings(dict[str, Reading]):
    """Readings by probe name; ProbeError for a probe that is not there."""

    def __init__(
        self,
        readings: Mapping[str, Reading] | None = None,
        why: Mapping[str, str] | None = None,
        otherwise: str | None = None,
    ) -> None:
        """
        + readings: by probe name
        + why: why a probe is not there, by its name
        + otherwise: why any other one is not
        """
        super().__init__(readings or {})
        self._why = why or {}
        self._otherwise = otherwise

    def why_not(self, name: str) -> str:
        """Why a probe is not there."""
        return (
            self._why.get(name)
            or self._otherwise
            or f"the host's answer to {name} is cut off or out of form"
        )

    def __missing__(self, name: str) -> Reading:
        raise ProbeError(self.why_not(name))

    def each(self, change: Callable[[Reading], Reading]) -> Readings:
        """These readings, each *change* d."""
        changed = {name: change(reading) for name, reading in self.items()}
        return Readings(changed, self._why, self._otherwise)


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
    body = f"{_SHELL_FUNCTIONS}{shared}{probes}\n"
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


def read(output: Iterable[str], scripts: Mapping[str, Script]) -> Readings:
    """The readings in a command's output, by probe name.

    + output: lines of standard output
    + scripts: what the command asked for

    An answer that is not whole to the byte is none. A probe that is cut off or out of form is left
    out, and so is one that lacks a program or does not answer for all that it has to; it does not
    spoil the others, only what they share does. What a host sends beyond :data:`MOST_BYTES` is not
    looked at.
    """
    try:
        frames = _frames(_answer(output, identity(scripts)))
        shared, lacking = _read_body(frames.pop(SHARED, None))
    except ProbeError as error:
        return Readings(otherwise=str(error))
    readings: dict[str, Reading] = {}
    why: dict[str, str] = {}
    for name, script in scripts.items():
        try:
            own, also_lacking = _read_body(frames.get(name))
            needed = {*script.programs, *script.at_times, *([SYSTEMCTL] if script.units else [])}
            if missing := sorted((lacking & needed) | also_lacking):
                raise ProbeError(_are_missing(missing))
            readings[name] = _complete(_joined(own, shared), script)
        except ProbeError as error:
            why[name] = f"{name}: {error}"
    return Readings(readings, why)


def _are_missing(programs: Sequence[str]) -> str:
    names = ", ".join(f"`{name}`" for name in programs)
    return f"{names} {'is' if len(programs) == 1 else 'are'} missing on the host"


def _answer(output: Iterable[str], name: str) -> list[str]:
    """The lines of the one answer with this name in all that a host has printed."""
    start = f"%answer {name} "
    left = MOST_BYTES + 1024 * 1024
    seal: re.Match[str] | None = None
    said = ""
    body: list[str] = []
    open_size = 0
    for line in islice(output, MOST_LINES):
        left -= len(line) + 1
        if left < 0:
            break
        if line.startswith(start):
            if seal is not None:
                raise ProbeError("the host has answered twice")
            missing = re.fullmatch(r"missing((?: [a-z0-9]{1,20}){1,20})", line[len(start) :])
            if missing:
                raise ProbeError(_are_missing(missing[1].split()))
            seal = re.fullmatch(r"([0-9]{1,10}) ([0-9]{1,8})", line[len(start) :])
            if seal is None:
                raise ProbeError("the host's answer is out of form")
            open_size = int(seal[2]) + 1
        elif seal is not None and open_size > 0:
            body.append(line)
            open_size -= len(line) + 1
        elif seal is None and not said:
            said = _FOREIGN.sub("?", line.strip())[:100]
    if seal is None:
        also = f": it says {said!r}" if said else ""
        raise ProbeError(f"the host did not answer, or its login shell ran nothing{also}")
    text = "\n".join(body)
    # `tr` took these out on the host; a host that sends them did not run our command
    if open_size != 0 or _FOREIGN.search(text.replace("\n", "")) or checksum(text) != int(seal[1]):
        raise ProbeError("the host's answer did not arrive whole")
    return body


_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def checksum(text: str) -> int:
    """What POSIX ``cksum`` says of it."""
    content = text.encode("ascii")
    size, length = len(content), b""
    while size:
        length, size = length + bytes([size & 0xFF]), size >> 8
    # zlib has the same polynomial with its bits the other way around, begins with ones, not with
    # zeros, and ends with the complement, as cksum does
    mirrored = zlib.crc32((content + length).translate(_MIRRORED), 0xFFFFFFFF)
    return int(f"{mirrored:032b}"[::-1], 2)


def _frames(lines: list[str]) -> dict[str, list[str]]:
    """What is between the first and the last line of each probe."""
    frames: dict[str, list[str]] = {}
    name: str | None = None
    body: list[str] = []
    for line in lines:
        if line.startswith("%begin "):
            name, body = line.removeprefix("%begin "), []
        elif name is not None and line == f"%end {name}":
            if name in frames:
                raise ProbeError("the host's answer is out of form")
            frames[name], name = body, None
        elif name is not None:
            body.append(line)
    return frames


def _joined(own: Reading, shared: Reading) -> Reading:
    for mine, theirs in ((own.values, shared.values), (own.texts, shared.texts)):
        if not mine.keys().isdisjoint(theirs):
            raise ProbeError("an item was sent twice")
    return Reading(
        {**shared.values, **own.values},
        {**shared.texts, **own.texts},
        {**shared.exact, **own.exact},
        shared.unreadable | own.unreadable,
        shared.absent | own.absent,
    )


def _complete(reading: Reading, script: Script) -> Reading:
    """The reading, with unreadable whatever was asked for and not answered."""
    answered = {*reading.texts, *reading.unreadable, *reading.absent}
    for key in script.answers:
        if key not in answered and key not in reading.values:
            raise ProbeError(f"the host's answer says nothing of {key}")
    silent = frozenset(item for item in script.items() if item not in answered)
    return dataclasses.replace(reading, unreadable=reading.unreadable | silent)


def _read_body(body: list[str] | None) -> tuple[Reading, set[str]]:
    """What a probe says, and the programs it lacks."""
    if body is None:
        raise ProbeError("the host's answer is cut off or out of form")
    values: dict[str, str] = {}
    texts: dict[str, list[str]] = {}
    exact: dict[str, bytes] = {}
    unreadable: set[str] = set()
    absent: set[str] = set()
    lacking: set[str] = set()
    lines = iter(body)
    for line in lines:
        if len(values) + len(texts) + len(unreadable) > MOST_ITEMS:
            raise ProbeError(f"more than {MOST_ITEMS} items")
        if not line:
            continue
        directive, _, rest = line.partition(" ")
        if directive == "%value":
            key, _, text = rest.partition(" ")
            _claim(key, values, texts, exact)
            values[key] = text
        elif directive == "%unreadable":
            unreadable.add(rest)
        elif directive in ("%absent", "%directory"):
            absent.add(rest)
        elif directive == "%missing":
            lacking.add(rest)
        elif directive in ("%text", "%exact"):
            _claim(rest, values, texts, exact)
            content, complete = _block(lines)
            if not complete:
                unreadable.add(rest)
            elif directive == "%text":
                texts[rest] = content
            else:
                exact[rest] = _decode(rest, content)
                texts[rest] = list(_as_text(exact[rest]))
        elif directive == "%lines":
            if rest.count(" ") > MOST_ITEMS:
                raise ProbeError(f"more than {MOST_ITEMS} items")
            for key, content in _lines_by_key(rest.split(" "), lines):
                _claim(key, values, texts, exact)
                texts[key] = content
        elif line == "%files":
            for key, content_bytes in _files(lines):
                _claim(key, values, texts, exact)
                exact[key], texts[key] = content_bytes, list(_as_text(content_bytes))
        else:
            raise ProbeError(f"unexpected line {line[:60]!r}")
    # said of one item by several, of which one knows better
    absent -= unreadable
    if not absent.isdisjoint(texts) or not absent.isdisjoint(values):
        raise ProbeError("an item is said to be there and not to be there")
    return Reading(values, texts, exact, frozenset(unreadable), frozenset(absent)), lacking


def _claim(key: str, *taken: Mapping[str, object]) -> None:
    if not _KEY.fullmatch(key):
        raise ProbeError(f"bad key {key[:60]!r}")
    if any(key in items for items in taken):
        raise ProbeError(f"{key[:60]!r} was sent twice")


def _block(lines: Iterable[str]) -> tuple[list[str], bool]:
    content: list[str] = []
    for line in lines:
        if line.startswith("|"):
            content.append(line[1:])
        elif line in ("%done", "%failed"):
            return content, line == "%done"
        elif line:
            break
    raise ProbeError("a block of text does not end")


def _lines_by_key(keys: list[str], lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    content, complete = _block(lines)
    if not complete:
        raise ProbeError("lines were not read to the end")
    by_key: dict[str, list[str]] = {key: [] for key in keys}
    for line in content:
        key, colon, text = line.partition(":")
        if not colon or key not in by_key:
            raise ProbeError(f"{line[:60]!r} is a line of nothing that was asked for")
        by_key[key].append(text)
    yield from by_key.items()


def _files(lines: Iterator[str]) -> Iterator[tuple[str, bytes]]:
    sizes: list[tuple[str, int]] = []
    for line in lines:
        if line == "%bytes":
            break
        found = re.fullmatch(r"\|([0-9]{1,8}) (.*)", line)
        if not found:
            raise ProbeError(f"{line[:60]!r} is no size of a file")
        if len(sizes) > MOST_ITEMS:
            raise ProbeError(f"more than {MOST_ITEMS} items")
        sizes.append((found[2], int(found[1])))
    encoded, complete = _block(lines)
    content = _decode("files", encoded)
    if not complete or len(content) != sum(size for _, size in sizes):
        raise ProbeError("files are not as long as was said")
    at = 0
    for key, size in sizes:
        yield key, content[at : at + size]
        at += size


_SHOWN = bytes(
    byte if byte in b"\t\n\r" or 0x20 <= byte <= 0x7E else ord("?") for byte in range(256)
)


def _as_text(content: bytes) -> tuple[str, ...]:
    """The lines of a file, with ``?`` for what is not printable ASCII."""
    return _kept(content) if len(content) <= _MOST_KEPT else _shown(content)


# the files of a fleet's hosts are mostly the same ones, and short
@lru_cache(maxsize=1024)
def _kept(content: bytes) -> tuple[str, ...]:
    return _shown(content)


def _shown(content: bytes) -> tuple[str, ...]:
    lines = content.translate(_SHOWN).decode("ascii").split("\n")
    return tuple(lines[:-1] if lines[-1] == "" else lines)


def _decode(key: str, content: list[str]) -> bytes:
    try:
        return base64.b64decode("".join(content), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProbeError(f"{key[:60]!r} is not base64") from error
