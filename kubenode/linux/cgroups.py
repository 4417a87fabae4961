"""Cgroup drivers: which there are, and what states one."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from kubenode.files.cannot_tell import CannotTell

Driver = Literal["systemd", "cgroupfs"]


class Statement(NamedTuple):
    """A place that states a driver."""

    file: str
    line: int | None
    driver: Driver


def statement(value: object, file: str, text: str | None = None, pattern: str = "") -> Statement:
    """The statement that *value* makes.

    + value: what is stated, as the file's parser has it
    + file: path of the file, or the name of what else states it
    + text: the file's text; None for what has no lines
    + pattern: a regular expression for the line

    CannotTell when the value is no driver.

    Example: ``statement("systemd", "/etc/x", "a\\nd: systemd\\n", "^d:")`` is
    ``Statement("/etc/x", 2, "systemd")``.
    """
    if value not in ("systemd", "cgroupfs"):
        # YAML's aliases can make a value whose text has no end
        shown = (
            repr(value[:60])
            if isinstance(value, str)
            else f"a value of type {type(value).__name__}"
        )
        raise CannotTell(f"{file}: {shown} is no cgroup driver")
    found = re.search(pattern, text, re.MULTILINE) if text else None
    line = text.count("\n", 0, found.start()) + 1 if text and found else None
    return Statement(file, line, "systemd" if value == "systemd" else "cgroupfs")
