"""``daemon.json`` read strictly, and changed in single values: all else in it stays to the letter.

Source: moby, daemon/config/config.go; RFC 8259.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kubenode.runtimes.edit import ConfigError, Edit, SettingChange

PATH = "/etc/docker/daemon.json"

MOST_BYTES = 64 * 1024
"""A host's has some hundred."""

DRIVER = "native.cgroupdriver"

_BLANKS = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True)
class Member:
    """A key of the file and its value.

    + key, value: as decoded
    + key_start, start, end: where the key begins, and the value, and where that ends
    """

    key: str
    value: Any
    key_start: int
    start: int
    end: int


@dataclass(frozen=True)
class Document:
    """A file that dockerd can read."""

    path: str
    text: str
    members: tuple[Member, ...]

    @property
    def data(self) -> dict[str, Any]:
        """What it says."""
        return {member.key: member.value for member in self.members}

    def member(self, key: str) -> Member | None:
        """A key of it; None where it has none."""
        return next((member for member in self.members if member.key == key), None)

    def line_of(self, key: str) -> int | None:
        """The line of a key; None where it has none."""
        member = self.member(key)
        return None if member is None else _line(self.text, member.key_start)

    @property
    def placed(self) -> list[tuple[Member, int]]:
        """Its keys, and their lines."""
        return [(member, _line(self.text, member.key_start)) for member in self.members]

    @property
    def driver(self) -> str | None:
        """The cgroup driver that ``exec-opts`` states; None: none."""
        # the last one wins, and the option's name folds case (moby, parseExecOptions)
        stated = None
        for option in self.data.get("exec-opts") or ():
            name, _, value = str(option).partition("=")
            if name.strip().lower() == DRIVER:
                stated = value.strip()
        return stated

    @property
    def driver_line(self) -> int | None:
        """The line that states it."""
        member = self.member("exec-opts")
        if member is None or self.driver is None:
            return None
        stated = [
            start
            for value, start, _ in _elements(self.text, member.start)
            if str(value).partition("=")[0].strip().lower() == DRIVER
        ]
        return _line(self.text, stated[-1])


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


class _Refused(ValueError):
    """Why a text is not read, and where that is."""

    def __init__(self, reason: str, place: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = place


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise _Refused(f"the key {twice[0][:40]!r} stands there twice", -1)
    return dict(pairs)


def _no_number(word: str) -> Any:
    raise _Refused(f"{word} is no JSON", -1)


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_no_number)


@lru_cache(maxsize=64)
def parse(path: str, content: bytes) -> Document:
    """What the file says; ConfigError with its place where it is not read.

    + path: of the file
    + content: as it is. One that has nothing but blanks in it is a file without keys

    A key that stands there twice is refused, of which Go takes the last one and people read the
    first. So is what is no JSON object.
    """
    if len(content) > MOST_BYTES:
        raise ConfigError(path, 1, 1, f"longer than {MOST_BYTES // 1024} KiB, which is not read")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(path, line, 1, "is not UTF-8") from error
    if not text.strip(" \t\n\r"):
        return Document(path, text, ())
    try:
        return Document(path, text, tuple(_members(text)))
    except _Refused as error:
        place = max(error.place, 0)
        column = place - (text.rfind("\n", 0, place) + 1) + 1
        raise ConfigError(path, _line(text, place), column, error.reason) from error


def _skip(text: str, place: int) -> int:
    found = _BLANKS.match(text, place)
    return found.end() if found else place


def _value(text: str, place: int) -> tuple[Any, int]:
    try:
        value, end = _DECODER.raw_decode(text, place)
    except json.JSONDecodeError as error:
        raise _Refused(f"is no JSON: {error.msg}", error.pos) from error
    except _Refused as error:
        raise _Refused(error.reason, place) from error
    except RecursionError as error:
        raise _Refused("is nested too deeply", place) from error
    # Python reads no number of more than 4,300 digits
    except ValueError as error:
        raise _Refused("has a number that is too long to be read", place) from error
    return value, end


def _members(text: str) -> Iterator[Member]:
    place = _skip(text, 0)
    if text[place : place + 1] != "{":
        raise _Refused("is no JSON object", place)
    place = _skip(text, place + 1)
    known: set[str] = set()
    if text[place : place + 1] != "}":
        while True:
            member = _member(text, place)
            if member.key in known:
                raise _Refused(f"the key {member.key[:40]!r} stands there twice", place)
            known.add(member.key)
            yield member
            place = _skip(text, member.end)
            if text[place : place + 1] == "}":
                break
            if text[place : place + 1] != ",":
                raise _Refused("is no JSON: expected a comma or }", place)
            place = _skip(text, place + 1)
    after = _skip(text, place + 1)
    if after != len(text):
        raise _Refused("has something behind its object", after)


def _member(text: str, place: int) -> Member:
    if text[place : place + 1] != '"':
        raise _Refused("is no JSON: expected a key in double quotes", place)
    key, end = _value(text, place)
    end = _skip(text, end)
    if text[end : end + 1] != ":":
        raise _Refused("is no JSON: expected a colon", end)
    start = _skip(text, end + 1)
    value, end = _value(text, start)
    return Member(key, value, place, start, end)


def _elements(text: str, start: int) -> list[tuple[Any, int, int]]:
    """The elements of a list that begins at a place: each with where it begins and ends."""
    found = []
    place = _skip(text, start + 1)
    while text[place] != "]":
        value, end = _value(text, place)
        found.append((value, place, end))
        place = _skip(text, end)
        if text[place] == ",":
            place = _skip(text, place + 1)
    return found


def edited(document: Document, wanted: Mapping[str, Any], driver: str | None = None) -> Edit:
    """The file with these settings, all else in it as it was.

    + document: as it is
    + wanted: value by key; one that is there already with this value stays to the letter
    + driver: the cgroup driver for ``exec-opts``, whose other options stay; None leaves it

    ConfigError where its ``exec-opts`` is no list.
    """
    text, changes = document.text, []
    if driver is not None and document.driver != driver:
        text = _with_driver(document, driver)
        place = f"exec-opts: {DRIVER}"
        changes.append(SettingChange(place, document.driver, driver))
    for key, value in wanted.items():
        now = parse(document.path, text.encode())
        member = now.member(key)
        if member is not None and _same(member.value, value):
            continue
        old = None if member is None else text[member.start : member.end]
        text = _with(now, key, value)
        changes.append(SettingChange(key, _short(old), _short(json.dumps(value))))
    return Edit(text, tuple(changes))


def may_have_passwords(text: str) -> bool:
    """Whether the file may not be shown: it has a proxy, or an address with a user in it.

    + text: of the file
    """
    return "proxy" in text or "proxies" in text or "@" in text


def _same(one: Any, other: Any) -> bool:
    # true is 1 to Python, and not to dockerd
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _short(value: str | None) -> str | None:
    return value if value is None or len(value) <= 200 else f"{value[:200]}..."


def _with_driver(document: Document, driver: str) -> str:
    option = f"{DRIVER}={driver}"
    member = document.member("exec-opts")
    if member is None or member.value is None:
        return _with(document, "exec-opts", [option])
    text = document.text
    if not isinstance(member.value, list):
        line = _line(text, member.start)
        raise ConfigError(document.path, line, 1, "exec-opts is not a list")
    elements = _elements(text, member.start)
    own = [
        (start, end)
        for value, start, end in elements
        if str(value).partition("=")[0].strip().lower() == DRIVER
    ]
    for start, end in reversed(own):
        text = f"{text[:start]}{json.dumps(option)}{text[end:]}"
    if own:
        return text
    if not elements:
        return f"{text[: member.start]}{json.dumps([option])}{text[member.end :]}"
    start, end = elements[-1][1:]
    before = text[elements[-2][2] : start] if len(elements) > 1 else f",{_before(text, start)}"
    return f"{text[:end]}{before if ',' in before else ', '}{json.dumps(option)}{text[end:]}"


def _before(text: str, start: int) -> str:
    """The blanks before the only element of a list, or one where it stands on the list's line."""
    gap = text[text.rfind("[", 0, start) + 1 : start]
    return gap if "\n" in gap else " "


def _with(document: Document, key: str, value: Any) -> str:
    text = document.text
    member = document.member(key)
    if member is not None:
        return f"{text[: member.start]}{_written(text, member, value)}{text[member.end :]}"
    if not document.members:
        if text.strip(" \t\n\r"):
            start, end = text.index("{"), text.rindex("}")
            return f"{text[:start]}{json.dumps({key: value}, indent=2)}{text[end + 1 :]}"
        return f"{json.dumps({key: value}, indent=2)}\n"
    last = document.members[-1]
    opened = text.rfind("\n", 0, last.key_start) + 1
    indent = text[opened : last.key_start]
    is_own_line = opened > 0 and not indent.strip(" \t")
    gap = f"\n{indent}" if is_own_line else " "
    lines = json.dumps(value, indent=indent or 2) if is_own_line else json.dumps(value)
    lines = lines.replace("\n", f"\n{indent}") if is_own_line else lines
    return f"{text[: last.end]},{gap}{json.dumps(key)}: {lines}{text[last.end :]}"


def _written(text: str, member: Member, value: Any) -> str:
    """A value in the place of another: over several lines where that is."""
    if "\n" not in text[member.start : member.end]:
        return json.dumps(value)
    opened = text.rfind("\n", 0, member.key_start) + 1
    indent = text[opened : member.key_start]
    if indent.strip(" \t"):
        indent = ""
    return json.dumps(value, indent=indent or 2).replace("\n", f"\n{indent}")
