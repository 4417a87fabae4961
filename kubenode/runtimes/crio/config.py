"""CRI-O's settings: crio.conf and its drop-ins.

Source: crio.conf(5) "cgroup_manager".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubenode.files import go_keys, toml_text
from kubenode.files.cannot_tell import CannotTell
from kubenode.linux.cgroups import Statement, statement

_MOST_CHARACTERS = 128 * 1024
"""Of all its files: the whole of its settings has 25 KiB."""


def crio_driver(files: Iterable[tuple[str, str]]) -> Statement | None:
    """CRI-O's statement of a cgroup driver: the last ``cgroup_manager`` of its files.

    + files: path and text of crio.conf and its drop-ins, in the order CRI-O reads them

    None when no file states one: CRI-O then takes systemd. CannotTell when a file cannot be
    understood.
    """
    stated = None
    left = _MOST_CHARACTERS
    for path, text in files:
        try:
            left -= len(text)
            if left < 0:
                most = _MOST_CHARACTERS // 1024
                raise ValueError(f"CRI-O's files are longer than {most} KiB")
            manager: Any = toml_text.loads(text)
        except (ValueError, RecursionError) as error:
            raise CannotTell(f"{path}: {error}") from error
        for name in ("crio", "runtime", "cgroup_manager"):
            if not isinstance(manager, dict):
                raise CannotTell(f"{path}: what holds {name} is not a table")
            keys = go_keys.any_case(name, manager)
            if len({repr(manager[key]) for key in keys}) > 1:
                raise CannotTell(f"{path}: {' and '.join(keys)} are one key to CRI-O: keep one")
            manager = manager[keys[0]] if keys else {} if name != "cgroup_manager" else None
        if manager is not None:
            stated = statement(manager, path, text, r"(?i)^[^#\n]*\bcgroup_manager\b")
    return stated
