"""The Node fact's table of parts, its shape, and what a check gets of it, are of one mind."""

from __future__ import annotations

from typing import Any

import pytest

from kubenode.audit.checks.check import Subject
from kubenode.facts.node import PARTS, Node, NodeShape, Part
from kubenode.wire.reading import ProbeError

# of the shape, what no check is about: drift.py and the operation of the audit look at them
NOT_FOR_CHECKS = {"containerd_files", "containerd_unproven", "missing"}


def annotation(name: str) -> str:
    """What the shape says of a part, as it is written there."""
    stated: Any = NodeShape.__annotations__[name]
    return str(getattr(stated, "__forward_arg__", stated))


def test_each_part_of_the_shape_is_a_row() -> None:
    names = [part.name for part in PARTS]
    assert len(names) == len(set(names))
    needed = {name for part in PARTS for name in part.needs}
    assert set(names) - NodeShape.__annotations__.keys() <= needed
    assert NodeShape.__annotations__.keys() - set(names) == {"missing"}


def test_each_row_stands_below_those_it_needs() -> None:
    above: set[str] = set()
    for part in PARTS:
        assert above.issuperset(part.needs), part.name
        above.add(part.name)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_a_row_gives_what_the_shape_says(part: Part) -> None:
    if part.name in NodeShape.__annotations__:
        returned = part.parse.__annotations__["return"]
        assert annotation(part.name) in (
            f"{returned} | None",
            f"{returned.rpartition('.')[2]} | None",
        )


def test_a_check_gets_each_part_in_its_own_shape() -> None:
    properties = {
        name: value.fget for name, value in vars(Subject).items() if isinstance(value, property)
    }
    # what a check gets besides is made of these
    for name in NodeShape.__annotations__.keys() - NOT_FOR_CHECKS:
        getter = properties[name]
        assert getter is not None
        assert annotation(name) == f"{getter.__annotations__['return']} | None"


def test_what_needs_a_missing_part_is_missing_for_the_same_reason() -> None:
    part = Part("b", {}, lambda a: a, needs=("a",))
    with pytest.raises(ProbeError, match="why"):
        part.of({}, {}, {"a": "why"}, {})  # type: ignore[arg-type]
    assert part.of({}, {"a": 3}, {}, {}) == 3  # type: ignore[arg-type]


def test_the_command_asks_for_every_rows_probes() -> None:
    fact = Node()
    fact.command()
    assert fact.scripts.keys() == {name for part in PARTS for name in part.probes}
