"""Keys of a runtime handler's settings: those that its runtime knows, each of its type."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

_KINDS = {str: "a text", bool: "True or False", int: "a number", list: "a list", dict: "a dict"}


def check(stated: Mapping[str, Any], known: Mapping[str, type], prefix: str = "") -> None:
    """ValueError where a key is not known, with one that is near, or its value of another type.

    + stated: the settings
    + known: type by key
    + prefix: of the keys in messages, such as ``options.``

    **Example:**

    .. code:: python

        check({"runtime_pth": "/bin/runsc"}, {"runtime_path": str})  # did you mean runtime_path?
    """
    for key, value in stated.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"{prefix}{key} is no key of it; {hint}")
        # True is a number to Python
        if type(value) is not known[key]:
            raise ValueError(f"{prefix}{key} is {_KINDS[known[key]]}, not {value!r}")
