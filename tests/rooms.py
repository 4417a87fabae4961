"""The map of the code: its rooms, which imports which, and what a second runtime would touch.

``python -m tests.rooms [FOLDER]`` prints it for a checkout; without FOLDER, for this one.

A room is a folder of modules below ``kubenode/``; a module in ``kubenode/`` itself is a room of its
own. A room stands one floor above the highest room it imports; rooms that import each other, a
circle, stand on one floor. Imports inside functions and for types alone count too.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent
RUNTIME = "containerd"


@dataclass(frozen=True)
class Map:
    """Rooms by name, with what each imports, the rooms that import each other, and floors."""

    rooms: dict[str, int]
    """How many modules each has."""
    arrows: dict[tuple[str, str], int]
    """From a room to one that it imports: how many imports of modules."""

    def below(self, room: str) -> set[str]:
        """The rooms that a room imports, directly or not."""
        found: set[str] = set()
        new = {room}
        while new:
            new = {low for high, low in self.arrows if high in new} - found
            found |= new
        return found

    def circles(self) -> set[frozenset[str]]:
        """The largest sets of rooms that import each other."""
        return {
            frozenset(other for other in self.below(room) if room in self.below(other))
            for room in self.rooms
            if room in self.below(room)
        }

    def floors(self) -> dict[str, int]:
        """Each room's floor, from 0."""
        circle = {room: circle for circle in self.circles() for room in circle}
        floors: dict[str, int] = {}

        def floor(room: str) -> int:
            if room not in floors:
                same = circle.get(room, frozenset({room}))
                below = {low for high, low in self.arrows if high in same} - same
                at = max((floor(low) + 1 for low in below), default=0)
                floors.update(dict.fromkeys(same, at))
            return floors[room]

        return {room: floor(room) for room in self.rooms}


def _room(module: str, packages: set[str]) -> str:
    path = module.split(".")[1:]
    if module not in packages and len(path) > 1:
        path = path[:-1]
    return ".".join(path) or "kubenode"


def map_of(folder: Path) -> Map:
    """The map of the checkout in a folder; reads the code, and imports none of it."""
    sys.path.insert(0, str(folder))
    try:
        graph = grimp.build_graph("kubenode", cache_dir=None)
    finally:
        sys.path.remove(str(folder))
    packages = {module for module in graph.modules if graph.find_children(module)}
    packages |= {
        f"kubenode.{path.name}"
        for path in (folder / "kubenode").iterdir()
        if (path / "__init__.py").is_file()
    }
    rooms: dict[str, int] = defaultdict(int)
    arrows: dict[tuple[str, str], int] = defaultdict(int)
    for module in graph.modules - {"kubenode"}:
        room = _room(module, packages)
        rooms[room] += module not in packages
        for imported in graph.find_modules_directly_imported_by(module) - {"kubenode"}:
            if (low := _room(imported, packages)) != room:
                arrows[room, low] += 1
    return Map(dict(rooms), dict(arrows))


def _sources(folder: Path) -> Iterator[Path]:
    for part in (*(folder / "kubenode").iterdir(), folder / "facts", folder / "operations"):
        if part.is_symlink() or part.name == "__pycache__":
            continue
        found = part.rglob("*") if part.is_dir() else [part]
        yield from (path for path in found if path.suffix in (".py", ".sh"))


def longest_functions(folder: Path, count: int = 3) -> list[tuple[int, str]]:
    """The functions with the most lines, docstrings included."""
    lengths: list[tuple[int, str]] = []
    for path in _sources(folder):
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                lengths.append((lines, f"{path.relative_to(folder)}: {node.name}"))
    return sorted(lengths, reverse=True)[:count]


def _words(path: Path) -> Iterator[str]:
    """What the code says: its names and strings, but neither comments nor docstrings."""
    if path.suffix == ".sh":
        yield from (line for line in path.read_text().splitlines() if line.lstrip()[:1] != "#")
        return
    tree = ast.parse(path.read_text())
    # a string that stands alone is a docstring, of a class or below an attribute
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in alone:
                yield text
            case ast.Name(id=text) | ast.Attribute(attr=text) | ast.arg(arg=text):
                yield text
            case ast.FunctionDef(name=text) | ast.ClassDef(name=text) | ast.alias(name=text):
                yield text
            case ast.ImportFrom(module=str(text)):
                yield text
            case ast.keyword(arg=str(text)):
                yield text


def name_the_runtime(folder: Path) -> list[str]:
    """Files that are not the runtime's own, and whose code names it.

    Each is one to look at when a second runtime comes. A file or folder that has the runtime in its
    name is its own. Files of names and strings count, comments and docstrings do not.
    """
    return sorted(
        str(path.relative_to(folder))
        for path in _sources(folder)
        if RUNTIME not in str(path.relative_to(folder))
        and any(RUNTIME in word.lower() for word in _words(path))
    )


def _print(folder: Path) -> None:
    found = map_of(folder)
    floors = found.floors()
    circles = found.circles()
    naming = name_the_runtime(folder)
    for room in sorted(found.rooms, key=lambda room: (-floors[room], room)):
        lower = sorted(low for high, low in found.arrows if high == room)
        print(f"{floors[room]:>2}  {room:<22}{found.rooms[room] or 1:>3}  {' '.join(lower)}")
    print()
    print(f"rooms                        {len(found.rooms)}")
    print(f"floors                       {max(floors.values()) + 1}")
    print(f"arrows between rooms         {len(found.arrows)}")
    print(f"circles                      {len(circles)}")
    for circle in sorted(circles, key=sorted):
        print(f"  {' '.join(sorted(circle))}")
    print("longest functions")
    for lines, name in longest_functions(folder):
        print(f"  {lines:>4} lines  {name}")
    print(f"files that name {RUNTIME}, beside its own: {len(naming)}")
    for name in naming:
        print(f"  {name}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.rooms", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT, help="a checkout")
    _print(parser.parse_args().folder.resolve())
