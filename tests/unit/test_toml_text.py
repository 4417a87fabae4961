"""Lines and edits of TOML text."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubenode.files import toml_text
from kubenode.files.toml_text import Path, TomlText, UnsafeEditError, dotted, literal


@pytest.mark.parametrize(
    ("old", "path", "new"),
    [
        ("a = 'x'   # c\n", "a", "a = 'new'   # c\n"),
        ('a = """x\ny""" # c\nb = 1', "a", 'a = "new" # c\nb = 1'),
        ("# top\n[b]\n", "a", 'a = "new"\n# top\n[b]\n'),
        ("", "a.b", '[a]\n  b = "new"\n'),
        ("[c]\r\nx = 1", "a.b", '[c]\r\nx = 1\r\n\r\n[a]\r\n  b = "new"\r\n'),
        # comments before the next table are that table's
        ("[a]\n\tx=1\n\n# b\n[b]\n", "a.y", '[a]\n\tx=1\n\ty = "new"\n\n# b\n[b]\n'),
        ("[a.b]\n[c]\n[a.d]\n[a]\nx = 1\n", "a.y", '[a.b]\n[c]\n[a.d]\n[a]\nx = 1\ny = "new"\n'),
        ("  [a.b]\n[c]\n[a.d]\n", "a.b.y", '  [a.b]\n    y = "new"\n[c]\n[a.d]\n'),
        ("[a.b]\nx = 1\n", "a.y", '[a.b]\nx = 1\n\n[a]\n  y = "new"\n'),
        ("[a]\n  b.c = 1 # c", "a.b.y", '[a]\n  b.c = 1 # c\n  b.y = "new"\n'),
        ("[a]\nb.c = 1\n", "a.b.d.y", '[a]\nb.c = 1\nb.d = {y = "new"}\n'),
        ("  a = {b = 1} # c\n", "a.c.y", '  a = {b = 1,c = {y = "new"}} # c\n'),
        ("a = {b = 'x', c = [\n1, # c\n]}\n", "a.b", "a = {b = 'new', c = [\n1, # c\n]}\n"),
    ],
)
def test_where_a_value_goes(old: str, path: str, new: str) -> None:
    toml = TomlText(old).with_value(tuple(path.split(".")), "new")
    assert toml.text == new
    assert toml.with_value(tuple(path.split(".")), "new").text == new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[]", "[]"),
        ("['no'] # c", "[] # c"),
        ("['yes', \"no\", 'no' ]", "['yes', ]"),
        ("[\n  'no', # it\n  'yes', # c\n  # d\n]", "[\n  'yes', # c\n  # d\n]"),
        ("[\r\n  'yes', # c\r\n  # d\r\n  'no'\r\n]", "[\r\n  'yes', # c\r\n  # d\r\n]"),
    ],
)
def test_entries_are_taken_out(old: str, new: str) -> None:
    end = "\r\n" if "\r" in old else "\n"
    toml = TomlText(f"[t]{end}a = {old}{end}").without_entries(("t", "a"), {"no"})
    assert toml.text == f"[t]{end}a = {new}{end}"
    assert TomlText("x = 1\n").without_entries(("a",), {"no"}).text == "x = 1\n"


@pytest.mark.parametrize("text", ["a = 1\n", "[[a]]\n", "a = []\n", "[a]\nb = 'x'\n"])
def test_value_below_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(UnsafeEditError, match=r"rewrite what states a\.b\.c more simply"):
        TomlText(text).with_value(("a", "b", "c"), True)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda *_: "a = {b = true}\n",
        lambda *_: "a = {b = true, x = [\n1,\n3,\n]}\nc = 2\n",
        lambda *_: "a = {b = true, x = [\n1, 2,\n]}\n",
        lambda *_: "a = {b = \n",
    ],
)
def test_wrong_result_is_never_handed_out(
    monkeypatch: pytest.MonkeyPatch, wrong: Callable[..., str]
) -> None:
    toml = TomlText("a = {b = false, x = [\n1,\n2,\n]}\n")
    toml.with_value(("a", "b"), True)
    monkeypatch.setattr(toml_text._Statement, "edited", wrong)
    with pytest.raises(UnsafeEditError):
        toml.with_value(("a", "b"), True)


def test_notation() -> None:
    assert dotted(("plugins", "x.y", 0, "q\"'t")) == 'plugins."x.y".0."q\\"\'t"'
    assert [literal(value) for value in (True, 2, 'a"b', ["a"])] == [
        "true",
        "2",
        '"a\\"b"',
        '["a"]',
    ]


# --- texts that are built so that each key's line is known

_KEYS = ["a", "b-2", '"x.y"', "'c d'", '"q\\"t"', "ü".join('""')]

_SCALARS = [
    "1",
    "nan",
    "true",
    "1979-05-27 07:32:00",
    '"# no comment"',
    "'[no.table]'",
    '"""\n[no.table]\nno = "key"\n"""',
    "'''\n# no ] comment\n}'''",
    '"""a\\\n   b"""',
]
_COMMENTS = ["", " # note", ' # [x] = """', "\t#é\u2028"]


class _Text:
    """Grows a text and notes where each path stands."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[Path, int] = {}

    def some(self, options: list[str]) -> str:
        return self.draw(st.sampled_from(options))

    def note(self, path: Path) -> None:
        """The next character written belongs to *path*, and to each table not noted before."""
        for size in range(1, len(path) + 1):
            self.lines.setdefault(path[:size], self.text.count("\n") + 1)

    def table(self, path: Path, keys: list[str]) -> None:
        self.text += self.some(["", "\n", "# [x]\n", "  # y = 1\n\n"])
        if keys:
            self.note(path)
            # the header of a table counts, also after that of one in it
            self.lines[path] = self.text.count("\n") + 1
            indent = self.some(["", "  ", "\t"])
            self.text += f"{indent}[{'.'.join(keys)}]{self.some(_COMMENTS)}\n"
        for name in self.draw(st.lists(st.sampled_from(_KEYS), unique=True, max_size=3)):
            self.key(path, name)

    def key(self, path: Path, name: str) -> None:
        self.text += self.some(["", "", "\n", "  # z\n"]) + self.some(["", "  ", "\t"])
        if self.draw(st.booleans()):
            for last in ("one", "two"):
                self.note((*path, _name(name), last))
                self.text += f"{name}.{last} = "
                self.value((*path, _name(name), last), 1)
                self.text += self.some(_COMMENTS) + "\n"
        else:
            self.note((*path, _name(name)))
            self.text += name + self.some([" = ", "=", "  =\t"])
            self.value((*path, _name(name)), 2)
            self.text += self.some(_COMMENTS) + "\n"

    def value(self, path: Path, depth: int) -> None:
        kind = self.some(["scalar", "array", "inline"] if depth else ["scalar"])
        if kind == "scalar":
            self.text += self.some(_SCALARS)
        elif kind == "array":
            self.text += "["
            for index in range(self.draw(st.integers(0, 3))):
                self.text += self.some(["", " ", "\n  ", " # ], note\n\n "])
                self.note((*path, index))
                self.value((*path, index), depth - 1)
                self.text += self.some([",", " ,", ", # note\n"])
            self.text += self.some(["]", "\n]"])
        else:
            keys = self.draw(st.lists(st.sampled_from(_KEYS), unique=True, max_size=2))
            self.text += "{ "
            for place, name in enumerate(keys):
                inner = (*path, _name(name), *self.draw(st.sampled_from([(), ("sub",)])))
                self.text += ", " if place else ""
                self.note(inner)
                self.text += name + (".sub = " if inner[-1] == "sub" else " = ")
                self.value(inner, depth - 1)
            self.text += " }"


def _name(key: str) -> str:
    return next(iter(tomllib.loads(f"{key} = 1")))


_TABLES = [["t"], ["t", "u"], ["t", "u", "v"], ['"w.x"', "y"], ["z"]]


@st.composite
def _texts(draw: st.DrawFn) -> tuple[str, dict[Path, int]]:
    text = _Text(draw)
    text.table((), [])
    for keys in draw(st.lists(st.sampled_from(_TABLES), unique_by=tuple)):
        text.table(tuple(_name(key) for key in keys), keys)
    result = text.text
    if draw(st.booleans()):
        result = result.replace("\n", "\r\n")
    return result.rstrip("\r\n") if draw(st.booleans()) else result, text.lines


@settings(max_examples=150, deadline=None)
@given(_texts())
def test_line_of_every_key(built: tuple[str, dict[Path, int]]) -> None:
    text, lines = built
    toml = TomlText(text)
    assert {path: toml.line_of(path) for path in lines} == lines


@settings(max_examples=100, deadline=None)
@given(_texts(), st.data())
def test_value_is_set_and_all_else_kept(
    built: tuple[str, dict[Path, int]], draw: st.DataObject
) -> None:
    text, lines = built
    old = TomlText(text)
    scalars = [path for path in lines if not isinstance(old.get(path), dict | list)]
    path = draw.draw(st.sampled_from(scalars or [("new",)]))
    values: list[str | bool] = [True, "new", 'a"b\\']
    value = draw.draw(st.sampled_from(values))
    try:
        new = old.with_value(path, value)
    except UnsafeEditError:
        # tomlkit takes white space out of an array when it sets an entry
        assert any(isinstance(key, int) for key in path)
        return
    assert new.data == _with(old.data, path, value)
    if path in lines:
        was, now = text.split("\n"), new.text.split("\n")
        end = lines[path] + len(was) - len(now)
        assert now[: lines[path] - 1] == was[: lines[path] - 1]
        assert now[lines[path] :] == was[end:]
        comment = was[end - 1].partition(" # note")
        assert now[lines[path] - 1].endswith(comment[1] + comment[2])
        assert new.with_value(path, value).text == new.text
    if "\r\n" in text and text.count("\n") > 1:
        assert new.text.count("\r\n") == new.text.count("\n")


def _with(data: dict[str, Any], path: Path, value: Any) -> Any:
    new = copy.deepcopy(data)
    table: Any = new
    for key in path[:-1]:
        table = table.setdefault(key, {}) if isinstance(table, dict) else table[key]
    table[path[-1]] = value
    return new


@settings(max_examples=100, deadline=None)
@given(_texts(), st.data())
def test_value_is_added_and_all_else_kept(
    built: tuple[str, dict[Path, int]], draw: st.DataObject
) -> None:
    text, lines = built
    old = TomlText(text)
    tables = [(), *(path for path in lines if isinstance(old.get(path), dict))]
    missing = draw.draw(st.sampled_from([("new",), ("x.y", "new"), ("m", "n", "new")]))
    path = (*draw.draw(st.sampled_from(tables)), *missing)
    if old.get(path) is not None:
        return
    try:
        new = old.with_value(path, True)
    except UnsafeEditError:
        # only where something is no table
        assert any(
            old.get(path[:size]) is not None and not isinstance(old.get(path[:size]), dict)
            for size in range(len(path))
        )
        return
    assert new.data == _with(old.data, path, True)
    assert new.line_of(path) >= 1
    assert "new" in new.text.split("\n")[new.line_of(path) - 1]
    left = iter(_signs(new.text))
    assert all(sign in left for sign in _signs(text))


def _signs(text: str) -> str:
    """All but white space, which tomlkit changes at the end of an inline table."""
    return "".join(text.split())
