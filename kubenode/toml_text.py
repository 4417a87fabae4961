"""TOML as text: on which line a key stands, and the same text with one thing set differently.

:mod:`tomllib` reads. It also tells where things stand: a statement, a table's header or a key with
its value, is the fewest lines that it takes. An edit rewrites one statement with tomlkit, or adds
a line to a table or a table at the end, so that nothing depends on what tomlkit makes of the rest
of a file. Each result is compared with what was intended, and with the old lines.

tomlkit is imported where it is used: it is slow to import, and most files are read and left alone.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

Path = tuple[str | int, ...]
"""The keys that lead to a value; a number is a place in an array."""

_Change = Callable[[Any, Path], None]
"""Changes what is at a path, in plain data and in tomlkit's alike."""


class UnsafeEditError(ValueError):
    """An edit that would change something else, too."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"rewrite what states {dotted(path)} more simply: tables with [table] headers, arrays "
            "on one line"
        )


@dataclass(frozen=True)
class TomlText:
    """
    A text that :mod:`tomllib` takes.

    **Example:**

    .. code:: python

        toml = TomlText('[a]\\nb = 1 # as shipped\\n')
        toml.line_of(("a", "b"))
        toml.with_value(("a", "b"), 2).text
    """

    text: str

    @cached_property
    def data(self) -> dict[str, Any]:
        """What it says; floats as they are written, since nan is not even equal to itself."""
        return tomllib.loads(self.text, parse_float=lambda digits: ("float", digits))

    def get(self, path: Path) -> Any:
        """The value at *path*, None when nothing states one."""
        return _at(self.data, path)

    def line_of(self, path: Path) -> int:
        """The line of the key at *path*, or of the table's header, or of the first key in a table
        without one; 1 when nothing states it."""
        stating = [each for each in self._statements if each.says(path)]
        headers = [each for each in stating if not each.pair and each.table == path]
        for statement in headers or stating:
            return statement.start + 1 + statement.lines_before(path)
        return 1

    def with_other_key(self, path: Path, key: str, value: list[str]) -> TomlText:
        """The text with *key* and *value* in place of what stands at *path*, and of *key*, if the
        table has that too; a comment behind it stays.

        UnsafeEditError: the result would say something else.
        """
        beside = (*path[:-1], key)
        toml = self if self.get(beside) is None else self._without(beside)
        around = toml._around(path)
        if around is None:
            raise UnsafeEditError(path)
        change = partial(_rename, key=key, value=value)
        text = around.edited(path, change)
        touched = range(around.start + 1, around.end + 1)
        return toml._with(around.start, around.end, text, path, change, touched)

    def _without(self, path: Path) -> TomlText:
        around = self._around(path)
        if around is None or around.pair.keys() != {path[-1]}:
            raise UnsafeEditError(path)
        touched = range(around.start + 1, around.end + 1)
        return self._with(around.start, around.end, "", path, _delete, touched)

    def with_value(self, path: Path, value: str | bool | int | list[str]) -> TomlText:
        """
        The text with *value* at *path*: in place, else as a new line of its table (the first line
        for a key without a table), else in a new table at the end. What is missing below an inline
        table or a dotted key becomes an inline table.

        UnsafeEditError: the result would say something else, or there cannot be such a table.
        """
        import tomlkit

        put = partial(_put, value=value)
        own = [each for each in self._statements if each.table == path[:-1]]
        around = self._around(path)
        text = tomlkit.dumps({str(path[-1]): value})
        touched = range(0)
        if around and (around.says(path) or not own):
            start, end, text = around.start, around.end, around.edited(path, put)
            touched = range(start + 1, end + 1)
            if around.says(path):
                size = around.text.count("\n") - text.count("\n") + 1
                touched = range(self.line_of(path), self.line_of(path) + size)
        elif len(path) == 1:
            start = end = 0
        elif own:
            start = end = own[-1].end
            text = own[-1].indent + ("" if own[-1].pair else "  ") + text
        else:
            start = end = len(self._lines)
            gap = "" if re.search(r"(^|\n\r?\n)\Z", self.text) else "\n"
            text = f"{gap}[{dotted(path[:-1])}]\n  {text}"
        return self._with(start, end, text, path, put, touched)

    def without_entries(self, path: Path, unwanted: Collection[str]) -> TomlText:
        """The text with the *unwanted* entries taken out of the array at *path*, and comments on
        their lines.

        UnsafeEditError: the result would say something else, or another entry's line would go.
        """
        entries = enumerate(self.get(path) or [])
        touched = [self.line_of((*path, index)) for index, entry in entries if entry in unwanted]
        around = self._around(path)
        if not touched or not around:
            return self
        drop = partial(_drop, unwanted=unwanted)
        text = around.edited(path, drop)
        return self._with(around.start, around.end, text, path, drop, touched)

    def _with(
        self,
        start: int,
        end: int,
        text: str,
        path: Path,
        change: _Change,
        touched: Collection[int],
    ) -> TomlText:
        """The text with *text* for some lines, if it says what *change* makes of the data and has
        all lines but those *touched*."""
        line_end = "\r\n" if self._lines[0].endswith("\r\n") else "\n"
        before, after = "".join(self._lines[:start]), "".join(self._lines[end:])
        before += line_end if before and not before.endswith("\n") else ""
        new = TomlText(before + re.sub(r"\r?\n", line_end, text) + after)
        left = (line.rstrip("\r\n") for line in new._lines)
        kept = [line for number, line in enumerate(self._lines, 1) if number not in touched]
        try:
            intended = copy.deepcopy(self.data)
            change(intended, path)
            if new.data == intended and all(line.rstrip("\r\n") in left for line in kept):
                return new
        except (tomllib.TOMLDecodeError, TypeError):
            pass
        raise UnsafeEditError(path)

    def _around(self, path: Path) -> _Statement | None:
        """The key that states *path* or the innermost table around it, None if a header does."""
        for size in range(len(path), 0, -1):
            if stating := [each for each in self._statements if each.says(path[:size])]:
                return stating[-1] if stating[-1].pair else None
        return None

    @cached_property
    def _lines(self) -> list[str]:
        return re.split(r"(?<=\n)", self.text)

    @cached_property
    def _statements(self) -> list[_Statement]:
        return list(_statements(self._lines))


@dataclass(frozen=True)
class _Statement:
    table: Path
    """The table that a header opens, or that a key is in."""
    pair: dict[str, Any]
    """What a key says, nothing for a header."""
    text: str
    start: int
    end: int
    marked: dict[Path, str] = field(default_factory=dict)
    """The text with marks for what is in a table or array, by its path."""

    @property
    def indent(self) -> str:
        return self.text[: len(self.text) - len(self.text.lstrip(" \t"))]

    def says(self, path: Path) -> bool:
        """Whether *path* is stated here; by a header also each table around its own."""
        if not self.pair:
            return self.table[: len(path)] == path
        rest = path[len(self.table) :]
        return bool(rest) and path == self.table + rest and _at(self.pair, rest) is not None

    def edited(self, path: Path, change: _Change) -> str:
        """The text after *change* by tomlkit. A line that it adds gets the indentation."""
        import tomlkit

        text = self.text[len(self.indent) :]
        try:
            document = tomlkit.parse(text)
            change(document, path[len(self.table) :])
            new = document.as_string()
        except Exception:  # tomlkit raises what it likes
            raise UnsafeEditError(path) from None
        if new.startswith(text) and new != text:
            new = f"{text.rstrip()}\n{self.indent}{new[len(text) :].lstrip()}"
        return self.indent + new

    def lines_before(self, path: Path) -> int:
        """How many of its lines come before the one with *path*."""
        value = _at(self.pair, path[len(self.table) :])
        if not self.pair or "\n" not in self.text.strip():
            return 0
        while value and isinstance(value, dict):
            # a table's first key is on the same line, and tomlkit cannot mark a dotted table
            key, value = next(iter(value.items()))
            path = (*path, key)
        *owner, key = path
        if tuple(owner) not in self.marked:
            try:
                self.marked[tuple(owner)] = self.edited(tuple(owner), _mark)
            except UnsafeEditError:
                return 0
        return self.marked[tuple(owner)].partition(_mark_of(key))[0].count("\n")


def _statements(lines: Sequence[str]) -> Iterator[_Statement]:
    table: Path = ()
    text, start = "", 0
    for end, line in enumerate(lines, 1):
        text, start = (text + line, start) if text else (line, end - 1)
        # a value over several lines does not end without one of these
        if text != line and not re.search(r"""[]}]|\"""|'''""", line):
            continue
        try:
            said: Any = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError):
            continue
        if text.lstrip().startswith("["):
            table = ()
            while said:
                ((name, said),) = said.items()
                table, said = (*table, name), said[0] if isinstance(said, list) else said
            yield _Statement(table, {}, text, start, end)
        elif said:
            yield _Statement(table, said, text, start, end)
        text = ""


def _at(value: Any, path: Sequence[Any]) -> Any:
    for key in path:
        try:
            value = value[key] if isinstance(value, dict | list) else None
        except (LookupError, TypeError):
            return None
    return value


def _put(table: Any, path: Path, value: Any) -> None:
    import tomlkit.items

    key, *rest = path
    old = _at(table, (key,))
    if rest and old is not None:
        _put(old, tuple(rest), value)
        return
    for name in reversed(rest):
        inline = tomlkit.inline_table()
        inline[str(name)] = value
        value = inline
    if isinstance(value, str) and isinstance(old, tomlkit.items.String):
        value = tomlkit.string(value, literal=old.as_string().startswith("'"))
    table[key] = value


def _rename(table: Any, path: Path, key: str, value: list[str]) -> None:
    import tomlkit
    import tomlkit.items

    owner = _at(table, path[:-1])
    old = owner.pop(path[-1])
    if isinstance(old, tomlkit.items.Item):
        new = tomlkit.item(value)
        new.trivia.comment_ws, new.trivia.comment = old.trivia.comment_ws, old.trivia.comment
        owner[key] = new
    else:
        owner[key] = value


def _delete(table: Any, path: Path) -> None:
    del _at(table, path[:-1])[path[-1]]


def _mark(document: Any, path: Path) -> None:
    """Put a mark of as many lines in the place of each value in a table or array."""
    import tomlkit.items

    owner = _at(document, path)
    for key in list(owner) if isinstance(owner, dict) else range(len(owner)):
        if not isinstance(owner[key], tomlkit.items.Table):
            lines = tomlkit.item(owner[key]).as_string().count("\n")
            owner[key] = tomlkit.string(_mark_of(key) + "\n" * lines, multiline=True)


def _mark_of(key: str | int) -> str:
    return f"5c1d0b2e-{str(key).encode().hex()}-"


def _drop(table: Any, path: Path, unwanted: Collection[str]) -> None:
    array = _at(table, path)
    for index in reversed(range(len(array))):
        if array[index] in unwanted:
            del array[index]


def dotted(path: Path) -> str:
    """*path* as TOML writes a dotted key."""
    import tomlkit

    return ".".join(tomlkit.key(str(name)).as_string() for name in path)


def literal(value: Any) -> str:
    """*value* as TOML writes it."""
    import tomlkit

    return str(tomlkit.item(value).as_string())
