"""Operations' cases: what they say of a prepared node is what differs from it.

A case has ``facts``, as pyinfra-testing knows them, and ``changes`` to the facts in
``tests/prepared/``, by fact: ``{"containerd.Containerd": {"unit__enabled": "disabled"}}``; ``{}``
takes one as it is. ``tests/prepared/`` is one node by its facts: Debian's containerd 1.7.24 of
Debian 13, prepared by kubenode, two pods on it; Platform is that of a Debian 12. The facts of
``docker`` are another node's, Debian 13 with docker.io 26.1.5 and a stand-in for cri-dockerd, and
those of ``crio`` a third's, with CRI-O 1.36.3 and no pods.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from tests.recorded_node import changed

_PREPARED = Path(__file__).parent / "prepared"


@cache
def _prepared(fact: str) -> Any:
    return json.loads((_PREPARED / f"{fact}.json").read_text())


def whole(case: dict[str, Any]) -> dict[str, Any]:
    """The case with all of its facts in ``facts``."""
    changes = case.get("changes", {})
    stated = case.get("facts", {})
    twice = changes.keys() & stated.keys()
    assert not twice, f"{twice} are in facts and in changes"
    prepared = {fact: changed(_prepared(fact), values) for fact, values in changes.items()}
    rest = {key: value for key, value in case.items() if key not in ("changes", "facts")}
    return rest | {"facts": prepared | stated}
