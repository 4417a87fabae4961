"""Each fact's docstring shows a value that has the keys of its shape."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import textwrap
import types
import typing
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from kubenode.wire.probe_fact import ProbeFact

FOLDER = Path(__file__).parents[2] / "facts"
FACTS: list[type[ProbeFact[Any]]] = [
    value
    for path in sorted(FOLDER.glob("*.py"))
    for value in vars(importlib.import_module(f"kubenode.facts.{path.stem}")).values()
    if inspect.isclass(value)
    and issubclass(value, ProbeFact)
    and value.__module__ == f"kubenode.facts.{path.stem}"
]
BLOCK = ".. code:: python\n\n"


def example(fact: type[ProbeFact[Any]]) -> Any:
    """The first value in the docstring, with ``...`` as a key where more is left out."""
    text = inspect.getdoc(fact) or ""
    block = text[text.index(BLOCK) + len(BLOCK) :]
    lines = itertools.takewhile(lambda line: not line[:1].strip(), block.splitlines())
    code = textwrap.dedent("\n".join(lines))
    return ast.literal_eval(code.replace(", ...}", ", ...: ...}"))


def compare(value: Any, hint: Any, where: str) -> None:
    """Fails where a value has not the keys that its type says."""
    if value is ... or value == {...}:
        return
    if get_origin(hint) in (typing.Union, types.UnionType):
        hints = [each for each in get_args(hint) if each is not type(None)]
        if value is not None and len(hints) == 1:
            compare(value, hints[0], where)
    elif get_origin(hint) is typing.NotRequired:
        compare(value, get_args(hint)[0], where)
    elif is_typeddict(hint):
        # with include_extras, as NotRequired is a string to the class itself
        hints_by_name = get_type_hints(hint, include_extras=True)
        required = {
            name
            for name, inner in hints_by_name.items()
            if get_origin(inner) is not typing.NotRequired
        }
        if ... in value:
            assert value.keys() - {...} <= hints_by_name.keys(), where
        else:
            assert required <= value.keys() <= hints_by_name.keys(), where
        for name, inner in hints_by_name.items():
            if name in value:
                compare(value[name], inner, f"{where}.{name}")
    elif get_origin(hint) is dict:
        assert isinstance(value, dict), where
        for each in value.values():
            compare(each, get_args(hint)[1], where)
    elif get_origin(hint) is list:
        assert isinstance(value, list), where
        for each in value:
            compare(each, get_args(hint)[0], where)
    elif inspect.isclass(hint):
        assert isinstance(value, hint), where


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.__name__)
def test_the_example_has_the_shapes_keys(fact: type[ProbeFact[Any]]) -> None:
    compare(example(fact), get_type_hints(fact.parse)["return"], fact.__name__)


def test_an_example_of_another_shape_is_noticed() -> None:
    assert len(FACTS) >= 17
    hint = get_type_hints(FACTS[0].parse)["return"]
    for wrong in ({}, {**example(FACTS[0]), "x": 1}, {"x": 1, ...: ...}):
        with pytest.raises(AssertionError):
            compare(wrong, hint, "")
