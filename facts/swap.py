"""Swap: what is in use, and what the next boot will turn on."""

from __future__ import annotations

from typing import Literal, TypedDict

from kubenode import kernel_command_line, probe
from kubenode.facts.probe_fact import ProbeFact

PROBE = "swap"

UNIT_DIRECTORIES = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
)
ZRAM_DIRECTORIES = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd")
ZRAM_CONFIG = "zram-generator.conf"
ZRAMSWAP_CONFIG = "/etc/default/zramswap"

_LIVE = "/proc/swaps"
_FILES = (
    "/etc/fstab",
    ZRAMSWAP_CONFIG,
    *(f"{directory}/{ZRAM_CONFIG}" for directory in ZRAM_DIRECTORIES),
)
_DIRECTORIES = tuple(f"{directory}/{ZRAM_CONFIG}.d" for directory in ZRAM_DIRECTORIES)


class SwapDeviceShape(TypedDict):
    """A line of ``/proc/swaps``."""

    device: str
    kind: str
    """``partition``, ``file``."""
    size_kib: int


class SwapSourceShape(TypedDict):
    """Something that turns swap on at boot."""

    kind: Literal["fstab", "unit", "zram", "command-line"]
    file: str
    line: int | None
    what: str
    """The line, or the unit's or zram device's name."""


class SwapShape(TypedDict):
    """What :class:`Swap` returns."""

    live: list[SwapDeviceShape] | None
    """None: ``/proc/swaps`` could not be read."""
    boot: list[SwapSourceShape] | None
    """Empty: nothing turns it on. None: what could not be read may turn it on. Without ``noauto``
    lines, masked units, and (``systemd.swap=0``) what the kernel command line turns off."""
    unreadable: list[str]


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(
        rf"""
units=
for dir in {" ".join(UNIT_DIRECTORIES)}; do
  for unit in "$dir"/*.swap; do
    if [ -L "$unit" ] && [ ! -f "$unit" ]; then units="${{units}}masked $unit$nl"; fi
  done
  for link in "$dir"/*.wants/*.swap "$dir"/*.requires/*.swap "$dir"/*.wants/zramswap.service; do
    if [ -L "$link" ] || [ -e "$link" ]; then units="${{units}}wanted $link$nl"; fi
  done
done
said units "$units"
for dir in {" ".join(ZRAM_DIRECTORIES)}; do
  [ -x "$dir/system-generators/zram-generator" ] && value zram_generator yes
done
true
""",
        files=_FILES,
        directories=_DIRECTORIES,
        kernel_files=(_LIVE, kernel_command_line.PATH),
        answers=("units",),
    )


def parse(reading: probe.Reading) -> SwapShape:
    """The shape from what the host sent."""
    live = None
    if _LIVE in reading.texts:
        live = [device for line in reading.text(_LIVE)[1:] if (device := _device(line)) is not None]
    unreadable = sorted(
        path
        for path in reading.unreadable
        if path in (*_FILES, *_DIRECTORIES, kernel_command_line.PATH)
        or path.rpartition("/")[0] in _DIRECTORIES
    )
    command_line = " ".join(reading.text(kernel_command_line.PATH))
    sources = [
        *([] if _ignores_fstab(command_line) else _fstab(reading.text("/etc/fstab"))),
        *_units(reading.text("units")),
        *(_zram(reading) if reading.value("zram_generator") else []),
    ]
    return {
        "live": live,
        "boot": None if unreadable and not sources else sources,
        "unreadable": unreadable,
    }


def _device(line: str) -> SwapDeviceShape | None:
    words = line.split()
    if len(words) < 4 or not words[2].isdecimal():
        return None
    return {"device": words[0], "kind": words[1], "size_kib": int(words[2])}


def _ignores_fstab(command_line: str) -> bool:
    # systemd-fstab-generator(8)
    off = {"0", "no", "n", "false", "f", "off"}
    return any(
        name in ("systemd.swap", "fstab") and value in off
        for name, value in kernel_command_line.parameters(command_line)
    )


def _fstab(lines: list[str]) -> list[SwapSourceShape]:
    sources: list[SwapSourceShape] = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if len(words) < 3 or words[0].startswith("#") or words[2] != "swap":
            continue
        if "noauto" not in (words[3].split(",") if len(words) > 3 else ()):
            sources.append(
                {"kind": "fstab", "file": "/etc/fstab", "line": number, "what": " ".join(words)}
            )
    return sources


def _units(lines: list[str]) -> list[SwapSourceShape]:
    found = [line.split(" ", 1) for line in lines if " " in line]
    masked = {path.rpartition("/")[2] for what, path in found if what == "masked"}
    sources: list[SwapSourceShape] = []
    for what, path in found:
        name = path.rpartition("/")[2]
        if what == "wanted" and name not in masked:
            kind: Literal["unit", "zram"] = "unit" if name.endswith(".swap") else "zram"
            sources.append({"kind": kind, "file": path, "line": None, "what": name})
    return sources


def _zram(reading: probe.Reading) -> list[SwapSourceShape]:
    """Devices of zram-generator.conf(5); one with a size of 0, or a file system, is no swap."""
    main = [f"{directory}/{ZRAM_CONFIG}" for directory in ZRAM_DIRECTORIES]
    drop_ins = [f"{path}.d" for path in main]
    files = [path for path in main if path in reading.texts][:1]
    names: dict[str, str] = {}
    for directory in drop_ins:
        for path in reading.texts:
            if path.rpartition("/")[0] == directory:
                names.setdefault(path.rpartition("/")[2], path)
    files += [names[name] for name in sorted(names)]
    devices: dict[str, SwapSourceShape] = {}
    off: set[str] = set()
    for path in files:
        device = ""
        for number, line in enumerate(reading.text(path), 1):
            text = line.strip()
            if text.startswith("["):
                device = text.strip("[]")
                if device.startswith("zram"):
                    devices[device] = {"kind": "zram", "file": path, "line": number, "what": device}
                    off.discard(device)
            key, equals, value = (part.strip() for part in text.partition("="))
            if equals and (
                (key in ("zram-size", "max-zram-size") and value == "0")
                or (key == "fs-type" and value != "swap")
                or key == "mount-point"
            ):
                off.add(device)
    return [source for name, source in devices.items() if name not in off]


class Swap(ProbeFact[SwapShape]):
    """
    Returns the swap in use and what turns swap on at the next boot (:class:`SwapShape`).

    Seen are ``/etc/fstab`` (systemd-fstab-generator(8)), enabled ``.swap`` units, zram-generator
    and Debian's zramswap. Not seen is a swap partition that systemd-gpt-auto-generator(8) finds by
    its partition type: it shows live only.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.swap.Swap
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: probe.Readings) -> SwapShape:
        return parse(readings[PROBE])
