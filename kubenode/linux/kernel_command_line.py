"""The kernel's command line, as it is in ``/proc/cmdline``."""

from __future__ import annotations

import re

PATH = "/proc/cmdline"


def parameters(command_line: str) -> list[tuple[str, str | None]]:
    """Names and values on a kernel command line; what follows ``--`` is for init."""
    parameters: list[tuple[str, str | None]] = []
    for word in re.findall(r'(?:[^\s"]|"[^"]*"?)+', command_line):
        if word == "--":
            break
        name, equals, value = word.replace('"', "").partition("=")
        parameters.append((name, value if equals else None))
    return parameters
