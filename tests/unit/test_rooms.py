"""Rooms keep the order in pyproject.toml, none is in a circle, and each says what it is."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wheel import ROOT, checkout

ROOMS = sorted(
    path.relative_to(ROOT)
    for part in ("kubenode", "facts", "operations")
    for path in (ROOT / part).rglob("__init__.py")
)


def _python(*arguments: str, tree: Path) -> subprocess.CompletedProcess[str]:
    # not in this process: kubenode is imported here, and that one would be read
    return subprocess.run(
        [sys.executable, *arguments], cwd=tree, capture_output=True, text=True, timeout=120
    )


def _lint(tree: Path) -> subprocess.CompletedProcess[str]:
    lint = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    return _python("-c", lint.replace("()", "(no_cache=True)", 1), tree=tree)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("rooms") / "checkout")


def test_each_room_imports_from_rooms_below_its_own() -> None:
    linted = _lint(ROOT)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize(
    ("module", "line", "named"),
    [
        ("kubenode/linux/drop_ins.py", "import kubenode.settings", "kubenode.settings"),
        ("kubenode/files/go_keys.py", "from kubenode import audit", "kubenode.audit"),
        # kubenode/facts and kubenode/operations are links
        ("facts/swap.py", "from kubenode.operations import kernel", "kubenode.operations.kernel"),
        (
            "kubenode/wire/bounded.py",
            "def late() -> None:\n    from kubenode.facts import swap",
            "kubenode.facts.swap",
        ),
        (
            "kubenode/audit/checks/check.py",
            "def late() -> None:\n    from kubenode.audit.reports import verdict",
            "kubenode.audit.reports.verdict",
        ),
    ],
)
def test_an_import_upwards_is_found(copied: Path, module: str, line: str, named: str) -> None:
    path = copied / module
    before = path.read_text()
    path.write_text(f"{before}\n\n{line}\n")
    try:
        linted = _lint(copied)
    finally:
        path.write_text(before)
    assert linted.returncode == 1
    importer = "kubenode." + module.removeprefix("kubenode/").removesuffix(".py").replace("/", ".")
    assert f"{importer} -> {named}" in " ".join(linted.stdout.split())


def test_a_room_without_a_place_in_the_order_is_found(copied: Path) -> None:
    room = copied / "kubenode" / "attic"
    room.mkdir()
    (room / "__init__.py").write_text('"""What nobody uses."""\n')
    linted = _lint(copied)
    (room / "__init__.py").unlink()
    room.rmdir()
    assert linted.returncode == 1
    assert "attic" in linted.stdout


def test_no_rooms_import_each_other(copied: Path) -> None:
    # a copy's own tests.rooms: the map command reads the checkout it stands in
    assert "circles                      0\n" in _python("-m", "tests.rooms", tree=copied).stdout
    path = copied / "kubenode" / "audit" / "checks" / "check.py"
    before = path.read_text()
    path.write_text(f"{before}\n\nfrom kubenode.audit import findings\n")
    found = _python("-m", "tests.rooms", tree=copied).stdout
    path.write_text(before)
    assert "circles                      1\n  audit audit.checks\n" in found


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.parent))
def test_a_room_has_one_sentence(room: Path) -> None:
    said = ast.get_docstring(ast.parse((ROOT / room).read_text()))
    assert said is not None
    assert said.endswith(".")
    assert ". " not in said
    assert "\n" not in said


_ALONE = """
import importlib, sys
from pathlib import Path
all = (*Path("facts").glob("*.py"), *Path("operations").glob("*.py"))
for path in map(Path, sys.argv[1:] or sorted(all)):
    for name in [name for name in sys.modules if name.startswith("kubenode")]:
        del sys.modules[name]
    try:
        importlib.import_module(f"kubenode.{path.parent}.{path.stem}")
    except ImportError as error:
        print(f"{path}: {error}")
"""


def test_whoever_imports_a_fact_or_an_operation_first_gets_it(copied: Path) -> None:
    # one that is read alone is imported first: pyinfra INVENTORY fact kubenode.facts.MODULE.FACT
    assert _python("-c", _ALONE, tree=copied).stdout == ""
    path = copied / "facts" / "mounts.py"
    before = path.read_text()
    path.write_text(
        before.replace("READ =", "from kubenode.facts.cgroup import Cgroups\nREAD =", 1)
    )
    found = _python("-c", _ALONE, "facts/mounts.py", "facts/cgroup.py", tree=copied).stdout
    path.write_text(before)
    assert "cannot import name 'Cgroups'" in found
