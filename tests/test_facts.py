"""Every case of ``tests/facts/MODULE.CLASS/*.json``: a host's answer, and what the fact is then.

A case has ``arg``, ``output``, ``fact`` and ``recorded_on``, which says where the output is from;
``tests/record_fact.py`` writes them. The command is not in them: the end-to-end tests run it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyinfra_testing.facts import make_fact_tests  # type: ignore[import-untyped]

FACTS = Path(__file__).parent / "facts"

pytestmark = pytest.mark.filterwarnings("ignore:No command set for test")

for folder in sorted(FACTS.iterdir()):
    tests = make_fact_tests("kubenode.facts", folder.name, folder)
    globals()[f"Test{tests.__name__}"] = tests


@pytest.mark.parametrize("path", sorted(FACTS.glob("*/*.json")), ids=lambda path: path.stem)
def test_a_case_says_where_it_is_from(path: Path) -> None:
    assert json.loads(path.read_text())["recorded_on"]
