"""What a host's answer says: the wire format of :mod:`kubenode.wire.probe`, read strictly.

An answer counts when all of it arrived, to the byte. What a script states and the answer says
nothing of is unreadable, never absent. A probe that is cut off or out of form is left out, and the
others stay.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice

from kubenode.wire.probe import (
    MOST_BYTES,
    MOST_ITEMS,
    MOST_LINES,
    SHARED,
    SYSTEMCTL,
    Script,
    identity,
)

_MOST_KEPT = 16 * 1024


_FOREIGN = re.compile(r"[^\t\r\x20-\x7e]")


_KEY = re.compile(r"[!-~](?:[ -~]*[!-~])?")


class ProbeError(Exception):
    """A host's answer that is no answer: cut off, out of form, or without the probe asked for."""


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


def read_answer(output: Iterable[str], scripts: Mapping[str, Script]) -> Readings:
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
