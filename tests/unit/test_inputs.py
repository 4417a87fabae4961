"""docs/inputs.md has a row for each input of the facts, and each row a test."""

from __future__ import annotations

import inspect
import re
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

from kubenode.wire.probe import Script
from tests.unit.test_fact_docs import FACTS

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs/inputs.md").read_text().splitlines()
    if line.startswith("| ")
][1:]

# a path in a script's shell, up to a quote, a blank or a variable
_PATH = re.compile(
    r"(?<![\w}\\$*.\]])/(?:etc|var|proc|run|sys|usr|boot|lib|opt|dev|sbin|bin|home|tmp|root"
    r"|\.dockerenv)\b(?:/[\w.*\[\]-]+)*"
)


def scripts() -> list[Script]:
    found: list[Script] = []
    for kind in FACTS:
        fact = kind()
        needed = [
            name
            for name, parameter in inspect.signature(fact.command).parameters.items()
            if parameter.default is inspect.Parameter.empty
        ]
        fact.command(**{name: ["name"] for name in needed})
        found += fact.scripts.values()
    return found


@cache
def inputs() -> set[str]:
    """Every path and unit that a script of any fact states or has in its shell."""
    found: set[str] = set()
    for script in scripts():
        found |= {*script.files, *script.directories, *script.kernel_files}
        found |= {f"unit {unit}" for unit in script.units}
        for shell in (script.shell, *script.shared):
            found |= set(_PATH.findall(shell))
    return found


def patterns(cell: str) -> list[str]:
    return [text for text in re.findall(r"`([^`]+)`", cell) if text.startswith(("/", "unit "))]


def covers(pattern: str, path: str) -> bool:
    if pattern.endswith("/**"):
        return f"{path}/".startswith(pattern[:-2])
    return path == pattern or (pattern.startswith("unit ") and fnmatchcase(path, pattern))


def test_each_input_has_a_row() -> None:
    known = [pattern for row in ROWS for pattern in patterns(row[0])]
    # the roots of the tree are asked for their free space only
    missing = {
        path for path in inputs() - {"/proc"} if not any(covers(pattern, path) for pattern in known)
    }
    assert missing == set()
    assert len(inputs()) > 100


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:30])
def test_each_row_names_a_test(row: list[str]) -> None:
    assert len(row) == 4
    file, _, name = row[3].strip("`").partition("::")
    assert f"def {name}(" in (ROOT / "tests" / file).read_text()


@pytest.mark.parametrize("row", [row for row in ROWS if patterns(row[0])], ids=lambda r: r[0][:30])
def test_each_pattern_is_some_input(row: list[str]) -> None:
    for pattern in patterns(row[0]):
        assert any(covers(pattern, path) for path in inputs()), pattern


def test_an_input_without_a_row_is_noticed() -> None:
    known = [pattern for row in ROWS for pattern in patterns(row[0])]
    for path in ("/home/bob/x", "/tmp/x", "/proc/9", "/opt/x"):
        assert not any(covers(pattern, path) for pattern in known)
    assert _PATH.findall('cat "/tmp/x" $y/etc') == ["/tmp/x"]
