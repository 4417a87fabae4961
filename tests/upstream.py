"""Releases of containerd that no distribution of the targets has, where somebody has built them.

``KUBENODE_TEST_CONTAINERD`` names a folder with ``VERSION/containerd`` and what belongs to it.
Tests that are marked ``upstream`` are left out without it: a run without it must not look as if
they had passed.
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "KUBENODE_TEST_CONTAINERD"


def folder() -> Path | None:
    """The folder with the programs; None where the variable names none."""
    stated = os.environ.get(VARIABLE)
    return Path(stated) if stated else None


def versions() -> list[str]:
    """The versions in it, none without a folder."""
    where = folder()
    return sorted(path.parent.name for path in where.glob("*/containerd")) if where else []


def program(version: str) -> Path:
    """A version's containerd.

    + version: one of :func:`versions`
    """
    where = folder()
    assert where is not None, f"{VARIABLE} names no folder"
    return where / version / "containerd"
