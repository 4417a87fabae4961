"""Every case of ``tests/facts/MODULE.CLASS/*.json``: a host's answer, and what the fact is then.

A case has ``arg``, ``output``, ``fact`` and ``recorded_on``, which says where the output is from;
``tests/record_fact.py`` writes them, without the seal, which :mod:`tests.sealed` puts around it.
The command is not in them: the end-to-end tests run it.
"""

from __future__ import annotations

import importlib
import json
import tempfile
from pathlib import Path

import pytest
from pyinfra_testing.facts import make_fact_tests  # type: ignore[import-untyped]

from tests import sealed

FACTS = Path(__file__).parent / "facts"

pytestmark = pytest.mark.filterwarnings("ignore:No command set for test")

_copies = tempfile.TemporaryDirectory()
for folder in sorted(FACTS.iterdir()):
    module, name = folder.name.rsplit(".", 1)
    fact = getattr(importlib.import_module(f"kubenode.facts.{module}"), name)
    copy = Path(_copies.name) / folder.name
    copy.mkdir()
    for path in folder.glob("*.json"):
        (copy / path.name).write_text(json.dumps(sealed.case(fact(), path)))
    tests = make_fact_tests("kubenode.facts", folder.name, copy)
    globals()[f"Test{tests.__name__}"] = tests


@pytest.mark.parametrize("path", sorted(FACTS.glob("*/*.json")), ids=lambda path: path.stem)
def test_a_case_says_where_it_is_from(path: Path) -> None:
    assert json.loads(path.read_text())["recorded_on"]
