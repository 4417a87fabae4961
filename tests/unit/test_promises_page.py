"""docs/promises.md names tests that exist, and keeps a place for the loops' figures."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.soak.__main__ import with_figures
from tests.soak.loops import PAGE

HEADS = ("| promise", "| loop |")

NAMED = re.findall(r"`(tests/[^`]*)`", PAGE.read_text())


def functions(text: str) -> set[str]:
    """The functions that a module defines."""
    return {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}


def test_it_names_tests() -> None:
    assert len(NAMED) > 20
    assert "test_killed_at_any_moment" in "".join(NAMED)


@pytest.mark.parametrize("named", sorted(set(NAMED)))
def test_a_named_test_exists(named: str) -> None:
    path, _, name = named.partition("::")
    assert name, "a row names a test, not a file"
    assert name in functions((ROOT / path).read_text())


def test_every_row_names_a_test() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    promises = [row for row in rows if row.count(" | ") == 2 and not row.startswith(HEADS)]
    figures = [row for row in promises if re.search(r" \| \d{4}-\d\d-\d\d \| ", row)]
    assert len(promises) > len(figures)
    assert [row for row in promises if "`tests/" not in row and row not in figures] == []


def test_figures_have_a_place_and_those_of_other_loops_stay() -> None:
    before = PAGE.read_text()
    figures = {"kills": {"date": "2026-01-31", "kills": 500, "longest_rerun_seconds": 7.5}}
    page = with_figures(before, figures)
    row = "| kills | 2026-01-31 | kills: 500; longest rerun seconds: 7.5 |"
    assert row in page
    assert page.count("| kills |") == 1
    others = [line for line in before.splitlines() if not line.startswith("| kills |")]
    assert [line for line in page.splitlines() if line != row] == others
    assert with_figures(page, figures) == page


def test_a_page_without_the_place_is_refused() -> None:
    with pytest.raises(ValueError, match="lost the marks"):
        with_figures("# What is promised", {})


def test_what_has_a_large_count_is_run_by_make_soak() -> None:
    """``make soak`` selects by the mark, and a loop without it would never run at full length.

    Virtual machines are a tier of their own: ``KUBENODE_SOAK=1 make test-vm``.
    """
    counts = re.compile(r"KUBENODE_SOAK|loops\.(choice|count|is_soak)\(")
    loops = [
        path
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if path != Path(__file__) and path.parent != ROOT / "tests" / "vm"
        if counts.search(path.read_text())
    ]
    assert len(loops) >= 2
    unmarked = [
        str(path.relative_to(ROOT)) for path in loops if "mark.soak" not in path.read_text()
    ]
    assert unmarked == [], "mark them: pytestmark = pytest.mark.soak"
