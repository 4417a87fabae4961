"""How often a loop goes round, from which seed, and what came of it.

``KUBENODE_SOAK=1`` selects the large counts, ``KUBENODE_SEED`` repeats a run's choices.
``make soak`` runs the tests that are marked ``soak``.
"""

from __future__ import annotations

import datetime
import json
import os
import random
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

Choice = TypeVar("Choice")

_ROOT = Path(__file__).parent.parent.parent
PAGE = _ROOT / "docs" / "promises.md"
"""The page for them."""
FIGURES = _ROOT / ".cache" / "soak"
"""Where a run with the large counts leaves its figures, a file for each loop."""


def is_soak() -> bool:
    """Whether all of it is wanted, not a sample."""
    return os.environ.get("KUBENODE_SOAK", "") not in ("", "0")


def count(sample: int, soak: int) -> int:
    """How often a loop goes round.

    + sample: in CI and by ``make test``
    + soak: by ``make soak``

    **Example:**

    .. code:: python

        @settings(max_examples=loops.count(300, 10_000))
        def test_no_mutation_turns_unknown_into_absent(...): ...
    """
    return soak if is_soak() else sample


def choice(sample: Sequence[Choice], soak: Iterable[Choice]) -> Sequence[Choice]:
    """On which hosts a test runs.

    + sample: in CI and by ``make test``
    + soak: by ``make soak``
    """
    return list(soak) if is_soak() else sample


def seed() -> int:
    """What a loop's random choices start from: of chance, but in CI, or as ``KUBENODE_SEED`` says.

    What CI says of a commit must not depend on chance more than it has to.
    """
    if stated := os.environ.get("KUBENODE_SEED"):
        return int(stated)
    return 1 if os.environ.get("CI") and not is_soak() else random.randrange(1_000_000)


def say(line: str) -> None:
    """Show progress, which pytest lets through with ``-s``."""
    print(line, file=sys.stderr, flush=True)


def record(loop: str, **figures: int | float | str) -> None:
    """Say what a loop came to, and with the large counts keep it for ``python -m tests.soak``.

    + loop: its name, such as ``kills``
    + figures: such as ``kills=500, faults=0, seed=7``
    """
    say(f"{loop}: " + ", ".join(f"{name} {value}" for name, value in figures.items()))
    if is_soak():
        FIGURES.mkdir(parents=True, exist_ok=True)
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        (FIGURES / f"{loop}.json").write_text(json.dumps({"date": today, **figures}) + "\n")
