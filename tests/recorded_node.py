"""Node facts as they were recorded on targets, to judge and to change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from kubenode.facts.node import NodeShape

_FOLDER = Path(__file__).parent / "facts" / "node.Node"


@cache
def _read(case: str) -> Any:
    return json.loads((_FOLDER / f"{case}.json").read_text())["fact"]


def changed(fact: Any, changes: Mapping[str, Any]) -> Any:
    """A copy of a fact with changes.

    + changes: values by the path to them, with ``__`` between: ``{"swap__boot": None}``. What a
      path names must be in the fact.
    """
    fact = deepcopy(fact)
    for path, value in changes.items():
        *way, last = path.split("__")
        place = fact
        for step in way:
            place = place[step]
        assert last in place, f"no such fact: {path}"
        place[last] = value
    return fact


def recorded(case: str = "prepared-trixie", **changes: Any) -> NodeShape:
    """A copy of the facts of a recorded case, with changes as :func:`changed` takes them.

    + case: its name in ``tests/facts/node.Node``
    """
    return changed(_read(case), changes)  # type: ignore[no-any-return]
