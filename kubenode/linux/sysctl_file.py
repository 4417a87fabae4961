"""A sysctl.d(5) file that several may write to: our keys are set, lines of other keys stay."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from kubenode.linux.sysctl_d import DIRECTORIES, HEADER, Tree, assignment, path_of
from kubenode.linux.sysctl_value import is_value

OLD_HEADER = "# Written by kubenode, which owns this file whole: changes here will be lost.\n"
"""What earlier releases began a file with; it is not true any more."""

# systemd ends a line at each of these
_LINE = re.compile("([^\r\n\0]*)(\r\n|[\r\n\0]|\\Z)")


class Persisted(NamedTuple):
    """What becomes of a file.

    + text: its new text
    + removed: lines of other keys that went, as they stood there
    """

    text: str
    removed: tuple[str, ...] = ()


def with_values(old: str | None, wanted: Mapping[str, str], exclusive: bool = False) -> Persisted:
    """A file that sets *wanted*, and keeps all else to the letter.

    + old: its text now, None when there is no such file
    + wanted: value by key, all of them right together
      (:func:`kubenode.linux.sysctl_d.check_values`)
    + exclusive: lines of other keys go; comments stay all the same

    A line that states a wanted value already, in whatever spelling, stays as it is. Where one of a
    key's lines is wrong, or an exclusion (``-key``), one right line stands where the last one
    stood. Keys that have no line are appended, in their order. Where another line of the file would
    win so, all wanted keys go to the end.

    **Example:**

    .. code:: python

        with_values("vm.swappiness = 10\\n", {"net.ipv4.ip_forward": "1"}).text
        # "vm.swappiness = 10\\nnet.ipv4.ip_forward = 1\\n"
    """
    if not old:
        return Persisted(HEADER + _appended(wanted))
    text = HEADER + old[len(OLD_HEADER) :] if old.startswith(OLD_HEADER) else old
    lines = [match.groups() for match in _LINE.finditer(text)]
    values = {path_of(key): (key, value) for key, value in wanted.items()}
    stated = [_stated(content) for content, _ in lines]
    removed = tuple(
        content
        for (content, _), each in zip(lines, stated, strict=True)
        if exclusive and each and each[0] not in values
    )
    in_place = _in_place(lines, stated, values, exclusive)
    if not _sets(in_place, wanted):
        others = [
            content + end
            for (content, end), each in zip(lines, stated, strict=True)
            if not each or (each[0] not in values and not exclusive)
        ]
        in_place = _ended("".join(others)) + _appended(wanted)
    return Persisted(in_place, removed)


def _stated(content: str) -> tuple[str, str | None] | None:
    """The variable that a line is about and the value it states; None when it is about none."""
    found = assignment(content)
    return (path_of(found[0]), found[1]) if found else None


def _in_place(
    lines: list[tuple[str, ...]],
    stated: list[tuple[str, str | None] | None],
    values: Mapping[str, tuple[str, str]],
    exclusive: bool,
) -> str:
    right: dict[str, list[bool]] = {}
    last: dict[str, int] = {}
    for number, each in enumerate(stated):
        if each and each[0] in values:
            path, value = each
            is_right = value is not None and is_value(path, value, values[path][1])
            right.setdefault(path, []).append(is_right)
            last[path] = number
    kept = []
    for number, ((content, end), each) in enumerate(zip(lines, stated, strict=True)):
        path = each[0] if each else ""
        if path not in values:
            if each and exclusive:
                continue
        elif not all(right[path]):
            if number != last[path]:
                continue
            if not right[path][-1]:
                content = f"{values[path][0]} = {values[path][1]}"
        kept.append(content + end)
    missing = {key: value for path, (key, value) in values.items() if path not in last}
    text = "".join(kept)
    return _ended(text) + _appended(missing) if missing else text


def _sets(text: str, wanted: Mapping[str, str]) -> bool:
    """Whether a boot with this file alone sets all that is wanted."""
    alone = Tree(files={f"{DIRECTORIES[0]}/alone.conf": text})
    for key, value in wanted.items():
        boot = alone.boot(key)
        if boot.value is None or not is_value(path_of(key), boot.value, value):
            return False
    return True


def _ended(text: str) -> str:
    return text if not text or text[-1] in "\r\n\0" else f"{text}\n"


def _appended(values: Mapping[str, str]) -> str:
    return "".join(f"{key} = {value}\n" for key, value in values.items())
