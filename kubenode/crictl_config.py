"""``/etc/crictl.yaml``: which runtime crictl(1) talks to."""

from __future__ import annotations

from functools import lru_cache
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ruamel.yaml import YAML

TIMEOUT_SECONDS = 10
"""crictl's own 2 s are too short for a node under load."""


class CrictlConfigError(Exception):
    """The file is not what crictl could read."""


def settings(content: bytes) -> dict[str, str]:
    """The file's settings that are texts.

    + content: the file as it is

    Raises CrictlConfigError when it is not a YAML mapping in UTF-8.
    """
    return dict(_texts(content))


@lru_cache(maxsize=64)
def _texts(content: bytes) -> tuple[tuple[str, str], ...]:
    from ruamel.yaml import YAML

    # YAML is slow, and most hosts of a fleet have the same file
    data = _loaded(content, YAML(typ="safe", pure=True)) if content.strip() else {}
    return tuple(
        (name, value)
        for name, value in data.items()
        if isinstance(name, str) and isinstance(value, str)
    )


def _loaded(content: bytes, yaml: YAML) -> dict[Any, Any]:
    # A few lines of merge keys can multiply to more than any machine holds; crictl's file has none.
    if b"<<" in content:
        raise CrictlConfigError("has YAML merge keys (<<)")
    try:
        data = yaml.load(content.decode())
    # Scalars that are not of their type raise whatever their conversion raises: IndexError, ...
    except Exception as error:
        raise CrictlConfigError(" ".join(str(error).split())) from error
    if not isinstance(data, dict):
        raise CrictlConfigError("not a mapping of settings")
    return data


@lru_cache(maxsize=64)
def pointed_at(content: bytes | None, socket: str) -> bytes:
    """The file's content with both endpoints at *socket*; everything else in it is kept.

    + content: the file as it is, None when there is none
    + socket: path of the runtime's socket

    Returns the content unchanged when both endpoints are right already. Raises CrictlConfigError
    when it is not a YAML mapping in UTF-8.

    Source: cri-tools, docs/crictl.md ("runtime-endpoint", "image-endpoint", "timeout").
    """
    endpoint = f"unix://{socket}"
    endpoints = f"runtime-endpoint: {endpoint}\nimage-endpoint: {endpoint}\n"
    ours = f"{endpoints}timeout: {TIMEOUT_SECONDS}\n".encode()
    if content is None or not content.strip() or content == ours:
        return ours
    # slow to import, and most hosts have the file above
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    out = StringIO()
    data = _loaded(content, yaml)
    try:
        if all(data.get(key) == endpoint for key in ("runtime-endpoint", "image-endpoint")):
            return content
        data["runtime-endpoint"] = data["image-endpoint"] = endpoint
        yaml.dump(data, out)
        return out.getvalue().encode()
    except Exception as error:
        raise CrictlConfigError(" ".join(str(error).split())) from error
