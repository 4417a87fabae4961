"""Swap: what is in use, and what the next boot will turn on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from kubenode.files import exact_text
from kubenode.linux import kernel_command_line
from kubenode.linux.place import PlaceShape
from kubenode.linux.swap import (
    AGENTS,
    DPHYS_CONFIG,
    FSTAB,
    SERVICES,
    UNIT_DIRECTORIES,
    WAAGENT_CONFIG,
    ZRAM_CONFIG,
    ZRAM_DIRECTORIES,
    ZRAMSWAP_CONFIG,
    Kind,
    Partition,
    Started,
    Suspect,
    SwapAtBoot,
    lines_of,
)
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "swap"

_LIVE = "/proc/swaps"
_MEMORY = "/proc/meminfo"
_RESUME = "/etc/initramfs-tools/conf.d/resume"
_FILES = (
    FSTAB,
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
    used_kib: int


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


class SwapAtBootShape(TypedDict):
    """Arguments of :class:`kubenode.linux.swap.SwapAtBoot`, as lists; see :func:`at_boot`."""

    runs_systemd: bool
    command_line: str
    masked: list[str]
    units: list[str]
    wanted: list[str]
    generated: list[str]
    generators: list[str]
    partitions: list[list[str]]
    knows_partitions: bool
    services: list[list[str]]
    suspects: list[list[str]]
    cloud_config: list[str]


class SwapSourcesShape(TypedDict):
    """What :class:`SwapSources` returns."""

    live: list[SwapDeviceShape] | None
    """As of :class:`SwapShape`."""
    available_kib: int | None
    """``MemAvailable``: what can be used without swap. None: not known."""
    running: list[str]
    """Services of :data:`kubenode.linux.swap.SERVICES` that run: one that is masked may still turn
    swap on."""
    unreadable: list[str]
    """As of :class:`SwapShape`."""
    texts: dict[str, str]
    """By path, files that turn swap on, to the letter (:mod:`kubenode.files.exact_text`)."""
    boot: SwapAtBootShape
    resume: str | None
    """From which device a boot resumes a hibernation, as its initramfs or the kernel is told."""


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
        files=(*_FILES, _RESUME),
        directories=_DIRECTORIES,
        kernel_files=(_LIVE, kernel_command_line.PATH, _MEMORY),
        units=SERVICES,
        properties=("ActiveState",),
        answers=("units",),
    )


def parse(reading: Reading) -> SwapShape:
    """The shape of :class:`Swap` from what the host sent."""
    unreadable = _unreadable(reading)
    # as printable ASCII: what it says of them is printed
    boot = _model(_boot(reading), {path: reading.texts[path] for path in _sent(reading)})
    sources = boot.sources()
    undecided = boot.undecided()
    return {
        "live": _live(reading),
        "boot": None
        if (unreadable or undecided) and not sources
        else [{**source.shape, "kind": source.kind, "what": source.what} for source in sources],
        "unreadable": unreadable,
        "undecided": undecided,
    }


def parse_sources(reading: Reading) -> SwapSourcesShape:
    """The shape of :class:`SwapSources` from what the host sent."""
    return {
        "live": _live(reading),
        "available_kib": _available(reading.text(_MEMORY)),
        "running": [
            name
            for name in SERVICES
            if (reading.unit(name) or {}).get("ActiveState") not in (None, "inactive", "failed")
        ],
        "unreadable": _unreadable(reading),
        "texts": {
            path: exact_text.text_of(reading.exact.get(path, b"")) for path in _sent(reading)
        },
        "boot": _boot(reading),
        "resume": _resume(reading.text(_RESUME), " ".join(reading.text(kernel_command_line.PATH))),
    }


def at_boot(fact: SwapSourcesShape) -> SwapAtBoot:
    """What the next boot turns on, of a fact."""
    return _model(fact["boot"], {path: lines_of(text) for path, text in fact["texts"].items()})


def _model(boot: SwapAtBootShape, files: Mapping[str, Sequence[str]]) -> SwapAtBoot:
    lists: dict[str, Any] = {
        **boot,
        "partitions": [Partition(*each) for each in boot["partitions"]],
        "services": [Started(*each) for each in boot["services"]],
        "suspects": [Suspect(*each) for each in boot["suspects"]],
    }
    return SwapAtBoot(files=files, **lists)


def _sent(reading: Reading) -> list[str]:
    """The files of ours among all that were sent to one command."""
    return [
        path
        for path in reading.texts
        if path in _FILES
        or path.rpartition("/")[0] in _DIRECTORIES
        or (path.startswith(f"{UNIT_DIRECTORIES[0]}/") and path.endswith((".swap", *SERVICES)))
    ]


def _live(reading: Reading) -> list[SwapDeviceShape] | None:
    if _LIVE not in reading.texts:
        return None
    return [device for line in reading.text(_LIVE)[1:] if (device := _device(line)) is not None]


def _unreadable(reading: Reading) -> list[str]:
    return sorted(
        path
        for path in reading.unreadable
        if path in (*_FILES, *_DIRECTORIES, kernel_command_line.PATH)
        or path.startswith(("/var/spool/cron", "/etc/cron"))
        or path.rpartition("/")[0] in (*_DIRECTORIES, UNIT_DIRECTORIES[0])
    )


def _device(line: str) -> SwapDeviceShape | None:
    words = line.split()
    if len(words) < 4 or not (words[2].isdecimal() and words[3].isdecimal()):
        return None
    return {
        "device": words[0],
        "kind": words[1],
        "size_kib": int(words[2]),
        "used_kib": int(words[3]),
    }


def _available(meminfo: list[str]) -> int | None:
    for line in meminfo:
        if found := re.fullmatch(r"MemAvailable: *([0-9]{1,18}) kB", line.strip()):
            return int(found[1])
    return None


def _resume(lines: list[str], command_line: str) -> str | None:
    """``resume=`` and ``RESUME=`` of initramfs-tools(7); ``none`` and ``auto`` name nothing."""
    stated = dict(kernel_command_line.parameters(command_line))
    if "noresume" in stated:
        return None
    if stated.get("resume"):
        return stated["resume"]
    found = None
    for line in lines:
        name, equals, value = line.strip().partition("=")
        if equals and name == "RESUME":
            found = value.strip("\"' ")
    return None if found in (None, "", "none", "auto") else found


def _boot(reading: Reading) -> SwapAtBootShape:
    said: dict[str, list[str]] = {}
    for line in reading.text("units"):
        what, _, path = line.partition(" ")
        said.setdefault(what, []).append(path)
    return {
        "runs_systemd": reading.value("systemd") is not None,
        "command_line": " ".join(reading.text(kernel_command_line.PATH)),
        "masked": said.get("masked", []),
        "units": said.get("unit", []),
        "wanted": said.get("wanted", []),
        "generated": said.get("generated", []),
        "generators": said.get("generator", []),
        "partitions": [list(line.partition(" ")[::2]) for line in said.get("partition", [])],
        "knows_partitions": not reading.value("partitions"),
        "services": [list(line.rpartition(" ")[::2]) for line in said.get("service", [])],
        "suspects": [list(_suspect(line)) for line in reading.text("suspects")],
        "cloud_config": reading.text("cloud"),
    }


def _suspect(line: str) -> Suspect:
    how, _, rest = line.partition(" ")
    by = ""
    if how == "run":
        by, _, rest = rest.partition(" ")
    file, _, text = rest.partition(":")
    return Suspect(how, file, " ".join(text.split()), by)


class Swap(ProbeFact[SwapShape]):
    """
    Returns the swap in use and what turns swap on at the next boot (:class:`SwapShape`).

    .. code:: python

        {
            "live": [{"device": "/swapfile", "kind": "file", "size_kib": 2097148, "used_kib": 0}],
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


class SwapSources(ProbeFact[SwapSourcesShape]):
    """
    Returns what it takes to turn swap off: the files that turn it on, to the letter, and whether
    what is in it fits into memory (:class:`SwapSourcesShape`).

    .. code:: python

        {
            "live": [
                {"device": "/swapfile", "kind": "file", "size_kib": 2097148, "used_kib": 0},
            ],
            "available_kib": 1723440,
            "running": [],
            "unreadable": [],
            "texts": {"/etc/fstab": "/swapfile none swap sw 0 0\\n"},
            "boot": {
                "runs_systemd": True,
                "command_line": "quiet",
                "masked": [],
                "units": [],
                "wanted": [],
                "generated": [],
                "generators": [],
                "partitions": [["/run/udev/data/b8:3", "0fd2b4a4-5a0c-4f3a-9a44-6e2a1d2f9b11"]],
                "knows_partitions": True,
                "services": [],
                "suspects": [["script", "/etc/rc.local", "swapon -a", ""]],
                "cloud_config": [],
            },
            "resume": None,
        }

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.swap.SwapSources
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: Readings) -> SwapSourcesShape:
        return parse_sources(readings[PROBE])
