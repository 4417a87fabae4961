"""``/etc/crictl.yaml``: which runtime crictl(1) talks to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from kubenode.files import go_yaml

CRICTL_CONFIG = "/etc/crictl.yaml"

TIMEOUT_SECONDS = 10
"""crictl's own 2 s are too short for a node under load."""

MOST_BYTES = 16 * 1024
"""crictl knows six settings."""

_ENDPOINTS = ("runtime-endpoint", "image-endpoint")


class CrictlConfigError(Exception):
    """The file is not what crictl could read."""


def settings(content: bytes) -> dict[str, str]:
    """The file's settings that are texts; none of a file that says nothing.

    + content: the file as it is

    Raises CrictlConfigError when it is not a YAML mapping in UTF-8, see
    :mod:`kubenode.files.go_yaml`.
    """
    try:
        data = go_yaml.mapping(_text(content))
    except go_yaml.YamlError as error:
        raise CrictlConfigError(str(error)) from error
    return {name: value for name, value in data.items() if isinstance(value, str)}


def _text(content: bytes) -> str:
    if len(content) > MOST_BYTES:
        raise CrictlConfigError(f"longer than {MOST_BYTES // 1024} KiB, which is not read")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise CrictlConfigError(str(error)[:200]) from error


@lru_cache(maxsize=64)
def pointed_at(content: bytes | None, socket: str) -> bytes:
    """The file's content with both endpoints at *socket*; everything else in it is kept.

    + content: the file as it is, None when there is none
    + socket: path of the runtime's socket

    Returns the content unchanged when both endpoints are right already. A file that says nothing
    gets a timeout, too; its comments stay. Raises CrictlConfigError when it is not a YAML mapping
    in UTF-8, or not one with a line for each setting.

    Source: cri-tools, docs/crictl.md ("runtime-endpoint", "image-endpoint", "timeout").
    """
    endpoint = f"unix://{socket}"
    wanted = dict.fromkeys(_ENDPOINTS, endpoint)
    if content is None or not content.strip():
        content = b""
    before = settings(content)
    if all(before.get(name) == endpoint for name in _ENDPOINTS):
        return content
    text = _text(content)
    document = go_yaml.read(text)
    says_nothing = not document.data
    lines = [f"{name}: {endpoint}" for name in _ENDPOINTS if name not in document.places]
    if says_nothing:
        lines.append(f"timeout: {TIMEOUT_SECONDS}")
    new = text
    for name in sorted(document.places.keys() & wanted, key=document.places.__getitem__)[::-1]:
        start, end = document.places[name]
        if start == end:
            # nothing behind the colon, and the place is where the next key begins
            start = end = len(new[:start].rstrip())
        gap = " " if new[:start].endswith(":") else ""
        new = f"{new[:start]}{gap}{endpoint}{new[end:]}"
    if lines:
        new += ("\n" if new and not new.endswith("\n") else "") + "\n".join(lines) + "\n"
    try:
        after = go_yaml.mapping(new)
    except go_yaml.YamlError:
        after = {}
    expected = {**go_yaml.mapping(text), **wanted}
    if says_nothing:
        expected["timeout"] = TIMEOUT_SECONDS
    if after != expected:
        raise CrictlConfigError("write one setting a line, without { } and ---")
    return new.encode()


def pointed_nowhere(content: bytes) -> bytes | None:
    """The file's content without its endpoints; None where it has nothing else of anybody's.

    + content: the file as it is

    A timeout alone is nobody's. Raises CrictlConfigError as :func:`pointed_at` does.
    """
    settings(content)
    before = go_yaml.mapping(_text(content))
    if set(before) <= {*_ENDPOINTS, "timeout"}:
        return None
    lines = _text(content).splitlines(keepends=True)
    new = "".join(line for line in lines if not line.startswith(tuple(f"{n}:" for n in _ENDPOINTS)))
    try:
        after = go_yaml.mapping(new)
    except go_yaml.YamlError:
        after = {}
    if after != {name: value for name, value in before.items() if name not in _ENDPOINTS}:
        raise CrictlConfigError("write one setting a line, without { } and ---")
    return new.encode()


@dataclass(frozen=True)
class CrictlPlan:
    """What has to become of the file.

    + old: its content now, None when there is none
    + new: its content afterwards, the same when nothing has to change, None of one that there is
      not
    + blocked: why nothing may be changed
    """

    old: bytes | None
    new: bytes | None
    blocked: str | None = None


def plan(old: bytes | None, socket: str, is_readable: bool = True) -> CrictlPlan:
    """The file as :func:`pointed_at` makes it, or why it stays as it is.

    + old: its content now, None when there is none
    + socket: path of the runtime's socket
    + is_readable: whether that is known
    """
    if not is_readable:
        return CrictlPlan(old, b"", f"cannot read {CRICTL_CONFIG}: nothing was changed")
    try:
        return CrictlPlan(old, pointed_at(old, socket))
    except CrictlConfigError as error:
        return CrictlPlan(old, b"", f"{CRICTL_CONFIG}: {error}: nothing was changed")


def check_socket(socket: object) -> str:
    """*socket* itself when a runtime can answer there, ValueError if not.

    + socket: absolute path, without ``unix://``; blanks and what YAML reads as something else than
      text is not taken
    """
    if not isinstance(socket, str) or not re.fullmatch(r"/[\w./@+-]{1,106}", socket, re.ASCII):
        raise ValueError(
            f"socket is the absolute path of a runtime's socket such as "
            f"/run/containerd/containerd.sock, not {socket!r}"
        )
    return socket
