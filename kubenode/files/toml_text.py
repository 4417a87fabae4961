"""TOML as text: on which line a key stands, and the same text with one thing set differently.

:mod:`tomllib` reads. It also tells where things stand: a statement, a table's header or a key with
its value, is the fewest lines that it takes. An edit rewrites one statement with tomlkit, or adds
a line to a table or a table at the end, so that nothing depends on what tomlkit makes of the rest
of a file. Each result is compared with what was intended, and with the old lines.

tomlkit is imported where it is used: it is slow to import, and most files are read and left alone.

A file may be a stranger's: what is longer than :data:`MOST_BYTES`, or has deeper keys or brackets
than :data:`DEEPEST`, is refused before any parser sees it, since tomllib takes the square of a
key's parts. All else takes time that grows with the size.
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


MOST_BYTES = 64 * 1024
"""Of a file: containerd 2.1's whole ``config dump`` has 12 KiB."""
DEEPEST = 32
"""Parts of a key, and brackets in brackets: containerd's own go to 8."""


_MOST_EDITED = 16 * 1024
"""Of one statement: tomlkit is slow."""


class TooMuchError(ValueError):
    """A text that would take too long to read."""


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
        return loads(self.text)

    def get(self, path: Path) -> Any:
        """The value at *path*, None when nothing states one."""
        return _at(self.data, path)

    def line_of(self, path: Path) -> int:
        """The line of the key at *path*, or of the table's header, or of the first key in a table
        without one; 1 when nothing states it."""
        stating = self._stating(path)
        if stating is None:
            return 1
        statement = self._headers.get(path, stating[0])
        return statement.start + 1 + statement.lines_before(path)

    def with_other_key(self, path: Path, key: str, value: list[str]) -> TomlText:
        """The text with *key* and *value* in place of what stands at *path*, and of *key*, if the
        table has that too; a comment behind it stays.

        UnsafeEditError: the result would say something else.
        """
        beside = (*path[:-1], key)
        toml = self if self.get(beside) is None else self.without(beside)
        around = toml._around(path)
        if around is None:
            raise UnsafeEditError(path)
        change = partial(_rename, key=key, value=value)
        text = around.edited(path, change)
        touched = range(around.start + 1, around.end + 1)
        return toml._with(around.start, around.end, text, path, change, touched)

    def without(self, path: Path) -> TomlText:
        """The text without the key at *path*, and a comment behind it.

        UnsafeEditError: the result would say something else, or a header states it.
        """
        around = self._around(path)
        if around is None:
            raise UnsafeEditError(path)
        touched = range(around.start + 1, around.end + 1)
        if around.names[: len(path)] != path:
            text = around.edited(path, _delete)
            return self._with(around.start, around.end, text, path, _delete, touched)
        return self._with(around.start, around.end, "", path, self._closed, touched)

    def without_header(self, path: Path) -> TomlText:
        """The text without the header of the table at *path*; the same where there is none, or the
        table has keys.

        UnsafeEditError: the result would say something else.
        """
        own = [each for each in self._statements if each.table == path]
        if len(own) != 1 or own[0].pair:
            return self
        touched = range(own[0].start + 1, own[0].end + 1)
        change = self._closed if self.get(path) == {} else lambda data, _: None
        return self._with(own[0].start, own[0].end, "", path, change, touched)

    def without_table(self, path: Path) -> TomlText:
        """The text without the table at *path*, with its headers and all tables in it; comments
        stay.

        UnsafeEditError: the result would say something else, or it is an array of tables.
        """
        toml = self
        for leaf in leaves(self.get(path)):
            toml = toml.without((*path, *leaf))
        headers = [table for table in toml._headers if table[: len(path)] == path]
        for table in sorted(headers, key=len, reverse=True):
            toml = toml.without_header(table)
        if toml.get(path) is not None:
            raise UnsafeEditError(path)
        return toml

    def _closed(self, data: Any, path: Path) -> None:
        """Without what is at *path*, and the tables around it that nothing states any more."""
        _delete(data, path)
        for size in range(len(path) - 1, 0, -1):
            if _at(data, path[:size]) != {} or path[:size] in self._headers:
                return
            _delete(data, path[:size])

    def with_value(self, path: Path, value: Any) -> TomlText:
        """
        The text with *value* at *path*: in place, else as a new line of its table (the first line
        for a key without a table), else in a new table at the end. What is missing below an inline
        table or a dotted key becomes an inline table. A table in *value* is written inline.

        + value: as :attr:`data` has it: a float is ``("float", digits)``

        UnsafeEditError: the result would say something else, or there cannot be such a table.
        """
        import tomlkit

        put = partial(_put, value=value)
        written = _written(value)
        own = [each for each in self._statements if each.table == path[:-1]]
        around = self._around(path)
        text = tomlkit.dumps({str(path[-1]): written})
        touched = range(0)
        if around and (around.says(path) or not own):
            start, end = around.start, around.end
            text = around.edited(path, partial(_put, value=written))
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
        except (TooMuchError, tomllib.TOMLDecodeError, TypeError):
            pass
        raise UnsafeEditError(path)

    def _around(self, path: Path) -> _Statement | None:
        """The key that states *path* or the innermost table around it, None if a header does."""
        for size in range(len(path), 0, -1):
            if stating := self._stating(path[:size]):
                return stating[1] if stating[1].pair else None
        return None

    def _stating(self, path: Path) -> tuple[_Statement, _Statement] | None:
        """The first and the last statement that states *path*; by a header also each table around
        its own."""
        if path in self._named:
            return self._named[path]
        for size in range(len(path) - 1, 0, -1):
            if own := self._own.get(path[:size]):
                inside = [each for each in own if each.says(path)]
                return (inside[0], inside[-1]) if inside else None
        return None

    @cached_property
    def _named(self) -> dict[Path, tuple[_Statement, _Statement]]:
        """By each path that is part of a header or key: the first and last statement with it."""
        named: dict[Path, tuple[_Statement, _Statement]] = {}
        for each in self._statements:
            least = len(each.table) + 1 if each.pair else 1
            for size in range(least, len(each.names) + 1):
                first, _ = named.get(each.names[:size], (each, each))
                named[each.names[:size]] = (first, each)
        return named

    @cached_property
    def _own(self) -> dict[Path, list[_Statement]]:
        """Statements of keys by the whole path of their names."""
        own: dict[Path, list[_Statement]] = {}
        for each in self._statements:
            if each.pair:
                own.setdefault(each.names, []).append(each)
        return own

    @cached_property
    def _headers(self) -> dict[Path, _Statement]:
        """The first header of each table."""
        headers: dict[Path, _Statement] = {}
        for each in self._statements:
            if not each.pair:
                headers.setdefault(each.table, each)
        return headers

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
    places: dict[Path, int] = field(default_factory=dict)
    """How many lines come before a value, by its path in *pair*; filled when it is asked for."""

    @cached_property
    def names(self) -> Path:
        """The header's table; of a key the table and the key, on as long as there is but one."""
        names, value = self.table, self.pair
        while isinstance(value, dict) and len(value) == 1:
            ((name, value),) = value.items()
            names = (*names, name)
        return names

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
        if len(text) > _MOST_EDITED:
            raise UnsafeEditError(path)
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
        if not self.pair or "\n" not in self.text.strip():
            return 0
        if not self.places:
            self.places.update(_Places(self.text).found)
        return self.places.get(path[len(self.table) :], 0)


def loads(text: str) -> dict[str, Any]:
    """What a text says, as :func:`tomllib.loads` does; floats as ``("float", digits)``.

    + text: a stranger's

    TooMuchError, or tomllib's ValueError and RecursionError.
    """
    if len(text) > MOST_BYTES:
        raise TooMuchError(f"longer than {MOST_BYTES // 1024} KiB, which is not read")
    parts = depth = 0
    for token in _tokens(text):
        if token == ".":
            parts += 1
        elif token in _ENDS:
            parts = 0
            depth += _DEPTHS.get(token, 0)
        if parts >= DEEPEST or depth > DEEPEST:
            raise TooMuchError(f"nested deeper than {DEEPEST}, which is not read")
    return tomllib.loads(text, parse_float=lambda digits: ("float", digits))


_TOKEN = re.compile(
    r"""
      \"{3}(?:[^"\\]|\\.|"(?!""))*+(?:"{3,5}|\Z)
    | \'{3}(?:[^']|'(?!\'\'))*+(?:'{3,5}|\Z)
    | "(?:[^"\\\n]|\\[^\n])*+"?
    | '[^'\n]*+'?
    | \#[^\n]*+
    | [][{}=,.\n]
    | [^]["'\#{}=,.\n]++
    """,
    re.VERBOSE | re.DOTALL,
)
_ENDS = frozenset("[]{}=,\n")
_DEPTHS = {"[": 1, "{": 1, "]": -1, "}": -1}


def _tokens(text: str) -> Iterator[str]:
    """Strings, comments, marks, and what is between; of any text, in linear time."""
    return (found[0] for found in _TOKEN.finditer(text))


class _Places:
    """Where the values in a statement stand: how many lines come before, by path."""

    def __init__(self, text: str) -> None:
        self.found: dict[Path, int] = {}
        self._tokens = list(_tokens(text))
        self._next = 0
        self._line = 0
        self._pair(())

    def _peek(self) -> str:
        """The next token that is no white space or comment, empty at the end."""
        while self._next < len(self._tokens):
            token = self._tokens[self._next]
            if token[0] != "#" and token.strip():
                return token
            self._take()
        return ""

    def _take(self) -> str:
        token = self._tokens[self._next]
        self._next += 1
        self._line += token.count("\n")
        return token

    def _pair(self, path: Path) -> None:
        key = ""
        while self._peek() not in ("=", ""):
            key += self._take()
        if self._peek():
            self._take()
        said: Any = tomllib.loads(f"{key}=0")
        while isinstance(said, dict):
            ((name, said),) = said.items()
            path = (*path, name)
            self.found.setdefault(path, self._line)
        self._value(path)

    def _value(self, path: Path) -> None:
        token = self._peek()
        self.found[path] = self._line
        if token not in ("[", "{"):
            while self._next < len(self._tokens) and self._peek() not in (",", "]", "}", ""):
                self._take()
            return
        self._take()
        index = 0
        while self._peek() not in ("]", "}", ""):
            if self._peek() == ",":
                self._take()
            elif token == "[":
                self._value((*path, index))
                index += 1
            else:
                self._pair(path)
        if self._peek():
            self._take()


def _statements(lines: Sequence[str]) -> Iterator[_Statement]:
    """The statements of a text that tomllib takes."""
    table: Path = ()
    start, end, depth, says = 0, 0, 0, False
    # so that the last line ends too
    for token in (*_tokens("".join(lines)), "\n"):
        end += token.count("\n")
        depth += _DEPTHS.get(token, 0)
        says = says or (token[0] != "#" and bool(token.strip()))
        if token != "\n" or depth:
            continue
        if says:
            end = min(end, len(lines))
            text = "".join(lines[start:end])
            said: Any = tomllib.loads(text)
            if text.lstrip().startswith("["):
                table = ()
                while said:
                    ((name, said),) = said.items()
                    table, said = (*table, name), said[0] if isinstance(said, list) else said
                yield _Statement(table, {}, text, start, end)
            else:
                yield _Statement(table, said, text, start, end)
        start, says = end, False


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
        inline: Any = {} if type(table) is dict else tomlkit.inline_table()
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


def _drop(table: Any, path: Path, unwanted: Collection[str]) -> None:
    array = _at(table, path)
    for index in reversed(range(len(array))):
        if array[index] in unwanted:
            del array[index]


def leaves(value: Any) -> dict[Path, Any]:
    """The values in tables and tables of them, each by its path; an array is a value.

    + value: plain data; what is no table is one value, without a path
    """
    if not isinstance(value, dict):
        return {(): value}
    return {(key, *rest): leaf for key in value for rest, leaf in leaves(value[key]).items()}


def dotted(path: Path) -> str:
    """*path* as TOML writes a dotted key."""
    import tomlkit

    return ".".join(tomlkit.key(str(name)).as_string() for name in path)


def literal(value: Any) -> str:
    """*value* as TOML writes it on one line; a float is ``("float", digits)``."""
    import tomlkit

    if isinstance(value, tuple):
        return str(value[1])
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, dict):
        pairs = [f"{dotted((key,))} = {literal(each)}" for key, each in value.items()]
        return f"{{{', '.join(pairs)}}}"
    return str(tomlkit.item(value).as_string())


def _written(value: Any) -> Any:
    """*value* as tomlkit takes it."""
    import tomlkit

    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    return tomlkit.value(literal(value))
