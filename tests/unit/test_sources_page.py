"""docs/sources.md: each of its examples is group data that a host takes."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest

from kubenode.settings import PREFIX, NodeSettings
from tests.conftest import ROOT

EXAMPLES = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "docs" / "sources.md").read_text(), re.M | re.S
)


def stated(example: str) -> dict[str, Any]:
    """What an example assigns, by name; ValueError where it does anything else."""
    values = {}
    for statement in ast.parse(example).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                values[name] = ast.literal_eval(value)
            case _:
                raise ValueError(f"no setting: {ast.unparse(statement)}")
    return values


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_what_settings_take(example: str) -> None:
    values = stated(example)
    assert values
    assert all(name.startswith(PREFIX) for name in values)
    NodeSettings(**{name.removeprefix(PREFIX): value for name, value in values.items()})


def test_each_setting_of_a_source_has_an_example() -> None:
    shown = {name.removeprefix(PREFIX) for example in EXAMPLES for name in stated(example)}
    of_source = {name for name in NodeSettings.model_fields if name.startswith("containerd_")}
    # what it is configured with is documented with containerd.configured
    configured = {"containerd_handlers", "containerd_default_handler", "containerd_fragment"}
    assert (of_source - configured) | {"restart", "kubernetes_version"} <= shown
