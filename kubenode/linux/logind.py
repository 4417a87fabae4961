"""How long systemd-logind lets a shutdown wait: ``InhibitDelayMaxSec``, by its files.

The main file is the first there is of :data:`MAIN_FILES`, the drop-ins of all :data:`DIRECTORIES`
count over it in the order of their names, and one of the same name in an earlier directory hides
the later one.

Sources: logind.conf(5), systemd.time(7), systemd-system.conf(5) for the precedence, systemd's
``src/shared/conf-parser.c`` for what it does with a line that it cannot read: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kubenode.linux import drop_ins
from kubenode.linux.place import Place

UNIT = "systemd-logind.service"

_PLACES = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd")

MAIN_FILES = tuple(f"{place}/logind.conf" for place in _PLACES)
DIRECTORIES = tuple(f"{place}/logind.conf.d" for place in _PLACES)

FILE = "/etc/systemd/logind.conf.d/zz-kubenode.conf"
"""kubenode's own. It sorts behind ``unattended-upgrades-logind-maxdelay.conf``, which has 30 s and
wins over the 99-kubelet.conf that kubelet writes itself (kubernetes#102818)."""

DEFAULT_SECONDS = 5.0

INFINITY = float("inf")

_UNITS = {
    "us": 1e-6, "usec": 1e-6, "µs": 1e-6, "ms": 1e-3, "msec": 1e-3,
    "": 1, "s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "minute": 60,
    "minutes": 60, "h": 3600, "hr": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400,
    "days": 86400, "w": 604800, "week": 604800, "weeks": 604800,
}  # fmt: skip
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zµ]*)")


@dataclass(frozen=True, slots=True)
class Delay(Place):
    """What a line states."""

    seconds: float
    text: str


def delay(files: Mapping[str, str], *, at_boot: bool = False) -> Delay | None:
    """The line that decides; None where none states it, which is :data:`DEFAULT_SECONDS`.

    + files: text by path, of main files and drop-ins
    + at_boot: without what is in ``/run``, which is empty then

    **Example:**

    .. code:: python

        delay({"/etc/systemd/logind.conf": "[Login]\\nInhibitDelayMaxSec=30\\n"}).seconds  # 30.0
    """
    counting = {path for path in files if not (at_boot and path.startswith("/run/"))}
    main = [path for path in MAIN_FILES if path in counting][:1]
    found = None
    for path in [*main, *drop_ins.in_force(counting, DIRECTORIES)]:
        for line in _stated(path, files[path]):
            found = line
    return found


def _stated(path: str, text: str) -> Iterator[Delay]:
    section, continued, first = "", "", 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith(("#", ";")):
            continue
        if not continued:
            first = number
        if stripped.endswith("\\"):
            continued += stripped[:-1] + " "
            continue
        whole, continued = continued + stripped, ""
        if whole.startswith("["):
            section = whole
        name, equals, value = whole.partition("=")
        if section == "[Login]" and equals and name.strip() == "InhibitDelayMaxSec":
            seconds = seconds_of(value.strip())
            # systemd warns of what it cannot read, and takes no notice of it
            if seconds is not None:
                yield Delay(path, first, seconds, whole)


def seconds_of(text: str) -> float | None:
    """Seconds of a time span as systemd writes and reads it; None for what is none.

    + text: such as ``30``, ``1min 30s`` or ``infinity``
    """
    if text == "infinity":
        return INFINITY
    position, total = 0, 0.0
    while position < len(text.rstrip()):
        found = _PART.match(text, position)
        if found is None or found[2] not in _UNITS:
            return None
        total += float(found[1]) * _UNITS[found[2]]
        position = found.end()
    return total if text.strip() else None


def text_for(seconds: int) -> str:
    """The content of :data:`FILE`.

    + seconds: how long a shutdown may wait
    """
    return (
        "# by kubenode: kubelet ends pods in this time when the machine is shut down\n"
        f"[Login]\nInhibitDelayMaxSec={seconds}\n"
    )
