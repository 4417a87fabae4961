"""The sh text that hosts run: files beside the modules that send them, which shellcheck reads.

A file has one thing that Python fills in, a placeholder: ``@NAME@``, capital letters between two
``@``. What stands for it is text, put there as it is: a number, a path, a list of words, part of a
pattern. What may have other characters than those of a plain word goes through ``shlex.quote``
first, and no output of a host is ever put there.

What goes to a host is the file without its head (the comment lines above the first blank line) and
without the lines that speak to shellcheck. All else travels as it is: remarks in what hosts run
often are short.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

_PLACEHOLDER = re.compile("@([A-Z][A-Z0-9_]*)@")
_HEAD = re.compile(r"(?:#.*\n)+\n+")
_TO_SHELLCHECK = re.compile(r"^[ ]*# shellcheck .*\n", re.MULTILINE)


# facts ask for theirs once for each host
@lru_cache(maxsize=256)
def read(module: str, name: str, **values: object) -> str:
    """The text of a file beside a module, filled in where *values* are given.

    + module: the module's ``__file__``
    + name: of the file, ``kubelet_start.sh``
    + values: what stands for each placeholder, see :func:`filled`; without them the text has its
      placeholders still

    **Example:**

    .. code:: python

        SCRIPT = host_script.read(__file__, "mounts.sh", PLACES="|".join(PLACES))
    """
    text = Path(module).with_name(name).read_text("ascii")
    text = _TO_SHELLCHECK.sub("", _HEAD.sub("", text, count=1)).strip("\n")
    return filled(text, **values) if values else text


def filled(script: str, **values: object) -> str:
    """A script with its placeholders filled in.

    + script: what :func:`read` has read
    + values: text by placeholder

    ValueError where a placeholder has no value, or a value no placeholder.
    """
    names = set(_PLACEHOLDER.findall(script))
    if names != values.keys():
        raise ValueError(f"placeholders: {sorted(names)}, values: {sorted(values)}")
    return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), script)
