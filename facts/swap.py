"""Swap: what is in use, and what the next boot will turn on."""

from __future__ import annotations

from typing import TypedDict

from kubenode.linux import kernel_command_line
from kubenode.linux.place import PlaceShape
from kubenode.linux.swap import (
    AGENTS,
    DPHYS_CONFIG,
    SERVICES,
    UNIT_DIRECTORIES,
    WAAGENT_CONFIG,
    ZRAM_CONFIG,
    ZRAM_DIRECTORIES,
    ZRAMSWAP_CONFIG,
    Kind,
    Started,
    Suspect,
    SwapAtBoot,
)
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "swap"

_LIVE = "/proc/swaps"
_FILES = (
    "/etc/fstab",
    ZRAMSWAP_CONFIG,
    DPHYS_CONFIG,
    WAAGENT_CONFIG,
    *(f"{directory}/{ZRAM_CONFIG}" for directory in ZRAM_DIRECTORIES),
)
_DIRECTORIES = tuple(f"{directory}/{ZRAM_CONFIG}.d" for directory in ZRAM_DIRECTORIES)

# GPT's type of a Linux swap partition
_SWAP_PARTITION = "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"


class SwapDeviceShape(TypedDict):
    """A line of ``/proc/swaps``."""

    device: str
    kind: str
    """``partition``, ``file``."""
    size_kib: int


class SwapSourceShape(PlaceShape):
    """Something that turns swap on at boot."""

    kind: Kind
    """``script``: rc.local, a crontab or an init script; ``gpt-auto``: a partition of GPT's swap
    type."""
    what: str
    """The line, or the unit's or zram device's name."""


class SwapShape(TypedDict):
    """What :class:`Swap` returns."""

    live: list[SwapDeviceShape] | None
    """None: ``/proc/swaps`` could not be read."""
    boot: list[SwapSourceShape] | None
    """Empty: nothing turns it on. None: it cannot be told whether something does, see the two
    below. Without ``noauto`` lines, what a masked unit keeps from being started, and what the
    kernel command line turns off."""
    unreadable: list[str]
    """Files of which it depends and that could not be read."""
    undecided: list[str]
    """What may turn swap on, and whether it does cannot be told: a sentence each."""


def script() -> probe.Script:
    """The probe's script."""
    services = " ".join((*SERVICES, *AGENTS))
    return probe.Script(
        host_script.read(
            __file__,
            "swap.sh",
            UNIT_DIRECTORIES=" ".join(UNIT_DIRECTORIES),
            SERVICES=services,
            SWAP_PARTITION=_SWAP_PARTITION,
        ),
        files=_FILES,
        directories=_DIRECTORIES,
        kernel_files=(_LIVE, kernel_command_line.PATH),
        answers=("units",),
    )


def parse(reading: Reading) -> SwapShape:
    """The shape from what the host sent."""
    live = None
    if _LIVE in reading.texts:
        live = [device for line in reading.text(_LIVE)[1:] if (device := _device(line)) is not None]
    unreadable = sorted(
        path
        for path in reading.unreadable
        if path in (*_FILES, *_DIRECTORIES, kernel_command_line.PATH)
        or path.startswith(("/var/spool/cron", "/etc/cron"))
        or path.rpartition("/")[0] in _DIRECTORIES
    )
    boot = _boot(reading)
    sources = boot.sources()
    undecided = boot.undecided()
    return {
        "live": live,
        "boot": None
        if (unreadable or undecided) and not sources
        else [{**source.shape, "kind": source.kind, "what": source.what} for source in sources],
        "unreadable": unreadable,
        "undecided": undecided,
    }


def _device(line: str) -> SwapDeviceShape | None:
    words = line.split()
    if len(words) < 4 or not words[2].isdecimal():
        return None
    return {"device": words[0], "kind": words[1], "size_kib": int(words[2])}


def _boot(reading: Reading) -> SwapAtBoot:
    said: dict[str, list[str]] = {}
    for line in reading.text("units"):
        what, _, path = line.partition(" ")
        said.setdefault(what, []).append(path)
    return SwapAtBoot(
        runs_systemd=reading.value("systemd") is not None,
        command_line=" ".join(reading.text(kernel_command_line.PATH)),
        files=reading.texts,
        masked=said.get("masked", []),
        units=said.get("unit", []),
        wanted=said.get("wanted", []),
        generated=said.get("generated", []),
        generators=said.get("generator", []),
        partitions=said.get("partition", []),
        knows_partitions=not reading.value("partitions"),
        services=[
            Started(link, name)
            for link, _, name in (line.rpartition(" ") for line in said.get("service", []))
        ],
        suspects=list(map(_suspect, reading.text("suspects"))),
        cloud_config=reading.text("cloud"),
    )


def _suspect(line: str) -> Suspect:
    how, _, rest = line.partition(" ")
    file, _, text = rest.partition(":")
    return Suspect(how, file, " ".join(text.split()))


class Swap(ProbeFact[SwapShape]):
    """
    Returns the swap in use and what turns swap on at the next boot (:class:`SwapShape`).

    .. code:: python

        {
            "live": [{"device": "/swapfile", "kind": "file", "size_kib": 2097148}],
            "boot": [
                {
                    "kind": "fstab",
                    "file": "/etc/fstab",
                    "line": 2,
                    "what": "/swapfile none swap sw 0 0",
                },
            ],
            "unreadable": [],
            "undecided": [],
        }

    Seen are ``/etc/fstab`` (systemd-fstab-generator(8)), ``.swap`` units, zram-generator,
    partitions that systemd-gpt-auto-generator(8) takes, services that call swapon themselves or by
    a script, those known to (dphys-swapfile, swapspace, zramswap, the Azure Linux agent),
    cloud-init, and rc.local, crontabs and init scripts. Not looked into are programs that are no
    scripts.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.swap.Swap
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: Readings) -> SwapShape:
        return parse(readings[PROBE])
