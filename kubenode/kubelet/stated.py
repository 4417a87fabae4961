"""kubelet's settings with the place that states each; pure.

Flags win over drop-ins, the last of these over those before, and all over the file: see
:mod:`kubenode.kubelet.configuration`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubenode.kubelet import fields
from kubenode.kubelet.command_line import Flag
from kubenode.kubelet.config import kubelet_settings
from kubenode.linux.place import Place


@dataclass(frozen=True, slots=True)
class Stated(Place):
    """A setting's value, and the place of it."""

    value: Any


def stated(
    files: Sequence[tuple[str, str]],
    flags: Mapping[str, Flag],
    texts: Mapping[str, str] | None = None,
) -> dict[str, Stated]:
    """Those fields of :data:`kubenode.kubelet.fields.FIELDS` that something states.

    + files: path and text of the configuration file and then its drop-ins in order
    + flags: by name
    + texts: of files that state flags, by path, to look for their lines

    CannotTell when a file cannot be understood.

    **Example:**

    .. code:: python

        stated([("/c.yaml", "a: 1\\nmaxPods: 50\\n")], {})["maxPods"]  # 50, in line 2 of /c.yaml
    """
    found: dict[str, Stated] = {}
    merged = kubelet_settings(files)
    for path, text in files:
        own = kubelet_settings([(path, text)])
        for name in fields.FIELDS.keys() & own.keys():
            line = _line(text, rf"^[\"']?{name}[\"']?\s*:")
            found[name] = Stated(path, line, merged[name])
    for name, field in fields.FIELDS.items():
        if field.flag and (flag := flags.get(field.flag)):
            pattern = rf"^[^#\n]*--{re.sub('-', '[-_]', field.flag)}\b"
            line = _line((texts or {}).get(flag.source, ""), pattern)
            found[name] = Stated(flag.source, line, fields.of_flag(name, flag.value))
    return {name: found[name] for name in fields.FIELDS if name in found}


def _line(text: str, pattern: str) -> int | None:
    numbered: Iterable[tuple[int, str]] = enumerate(text.splitlines(), 1)
    return next((number for number, line in numbered if re.search(pattern, line)), None)
