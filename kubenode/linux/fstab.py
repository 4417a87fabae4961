"""Swap lines of fstab(5) as systemd-fstab-generator(8) reads them, and the units it makes of them.

Sources: systemd's ``src/fstab-generator``, ``src/shared/fstab-util.c`` and
``src/basic/unit-name.c``; systemd.unit(5), "String Escaping for Inclusion in Unit Names".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kubenode.files.exact_text import bytes_of

_TAGS = {
    "UUID": "by-uuid",
    "LABEL": "by-label",
    "PARTUUID": "by-partuuid",
    "PARTLABEL": "by-partlabel",
}
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class SwapLine:
    """A line of type swap."""

    number: int
    text: str
    unit: str
    """The unit that systemd makes of it, such as ``dev-sda2.swap``."""
    auto: bool
    """Whether it is for the boot: of ``auto`` and ``noauto`` the last one counts."""


def swap_lines(lines: Iterable[str]) -> Iterator[SwapLine]:
    """The swap lines of ``/etc/fstab``, those with ``noauto`` too.

    + lines: the file's
    """
    for number, line in enumerate(lines, 1):
        words = line.split()
        if len(words) < 3 or words[0].startswith("#") or words[2] != "swap":
            continue
        options = words[3].split(",") if len(words) > 3 else []
        stated = [option for option in options if option in ("auto", "noauto")]
        yield SwapLine(number, " ".join(words), swap_unit(words[0]), auto=stated[-1:] != ["noauto"])


def swap_unit(device: str) -> str:
    """The name of the swap unit of a device or file.

    + device: as in fstab's first field: a path, or ``UUID=`` and such; octal escapes are undone
    """
    device = _OCTAL.sub(lambda found: chr(int(found[1], 8)), device)
    tag, equals, value = device.partition("=")
    if equals and tag in _TAGS:
        device = f"/dev/disk/{_TAGS[tag]}/{_link_name(value.strip(chr(34)))}"
    path = "/".join(part for part in device.split("/") if part not in ("", "."))
    return f"{_escaped(path)}.swap"


def _link_name(value: str) -> str:
    """What udev makes of a label: letters, digits and some signs stay."""
    return _replaced(value, r"[A-Za-z0-9#+.:=@_-]")


def _escaped(path: str) -> str:
    escaped = "-".join(_replaced(part, r"[A-Za-z0-9:_.]") for part in path.split("/")) or "-"
    return escaped if not escaped.startswith(".") else rf"\x2e{escaped[1:]}"


def _replaced(text: str, kept: str) -> str:
    return "".join(
        char if re.fullmatch(kept, char) else "".join(rf"\x{byte:02x}" for byte in bytes_of(char))
        for char in text
    )
