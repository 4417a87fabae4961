"""The examples of docs/handlers.md are settings."""

from __future__ import annotations

import ast
import re

from kubenode.settings import NodeSettings
from tests.conftest import ROOT


def test_the_examples_are_settings() -> None:
    page = (ROOT / "docs" / "handlers.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 3
    for example in examples[:2]:
        stated = {
            each.targets[0].id.removeprefix("kubenode_"): ast.literal_eval(each.value)
            for each in ast.parse(example).body
            if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
        }
        assert stated
        assert NodeSettings.model_validate(stated)
