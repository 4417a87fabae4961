"""CRI-O itself, where somebody has built it.

CRI-O is in none of the registries that tests reach, so they have a stand-in of it. Where
``KUBENODE_TEST_CRIO`` names a folder with ``VERSION/crio`` and ``VERSION/pinns``, the package that
tests make of such a version has the real programs, and the same tests run against them.
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "KUBENODE_TEST_CRIO"


def programs(version: str) -> Path | None:
    """The folder with a version's programs; None where there are none, and a stand-in is taken.

    + version: such as ``1.36.3``
    """
    stated = os.environ.get(VARIABLE)
    folder = Path(stated, version) if stated else None
    if folder is None:
        return None
    assert (folder / "crio").is_file(), f"{VARIABLE}: there is no {folder}/crio"
    return folder
