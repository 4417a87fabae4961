"""Swap: what is in use, and what the next boot will turn on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, TypedDict

from kubenode.linux import fstab, kernel_command_line
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact

PROBE = "swap"

UNIT_DIRECTORIES = (
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
"""Where units are at boot, those that win first; ``/run`` is empty then."""
ZRAM_DIRECTORIES = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd")
ZRAM_CONFIG = "zram-generator.conf"
ZRAMSWAP_CONFIG = "/etc/default/zramswap"
DPHYS_CONFIG = "/etc/dphys-swapfile"
WAAGENT_CONFIG = "/etc/waagent.conf"
SERVICES = (
    "dphys-swapfile.service",
    "swapspace.service",
    "systemd-swap.service",
    "zram-config.service",
    "zram-swap.service",
    "zramswap.service",
)
"""Services that turn swap on by a program of their own."""
_RC_LOCAL = ("/etc/rc.local", "/etc/rc.d/rc.local")
AGENTS = ("walinuxagent.service", "waagent.service")

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

_OFF = frozenset({"0", "no", "n", "false", "f", "off"})

Kind = Literal["fstab", "unit", "zram", "service", "gpt-auto", "cloud-init", "script"]


class SwapDeviceShape(TypedDict):
    """A line of ``/proc/swaps``."""

    device: str
    kind: str
    """``partition``, ``file``."""
    size_kib: int


class SwapSourceShape(TypedDict):
    """Something that turns swap on at boot."""

    kind: Kind
    """``script``: rc.local, a crontab or an init script; ``gpt-auto``: a partition of GPT's swap
    type."""
    file: str
    line: int | None
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


def parse(reading: probe.Reading) -> SwapShape:
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
    boot = _Boot(reading)
    sources = [*boot.fstab(), *boot.units(), *boot.zram(), *boot.services(), *boot.cloud_init()]
    undecided = list(dict.fromkeys(boot.undecided()))
    return {
        "live": live,
        "boot": None if (unreadable or undecided) and not sources else sources,
        "unreadable": unreadable,
        "undecided": undecided,
    }


def _device(line: str) -> SwapDeviceShape | None:
    words = line.split()
    if len(words) < 4 or not words[2].isdecimal():
        return None
    return {"device": words[0], "kind": words[1], "size_kib": int(words[2])}


class _Boot:
    """What the next boot would turn on."""

    def __init__(self, reading: probe.Reading) -> None:
        self._reading = reading
        self._said = [
            (what, path)
            for what, _, path in (line.partition(" ") for line in reading.text("units"))
        ]
        parameters = kernel_command_line.parameters(
            " ".join(reading.text(kernel_command_line.PATH))
        )
        self._off = {name for name, value in parameters if value in _OFF}
        self._masked_by_kernel = {
            value for name, value in parameters if name == "systemd.mask" and value
        }

    def _paths(self, kind: str) -> list[str]:
        return [path for what, path in self._said if what == kind]

    def _is_masked(self, unit: str, generated: bool = False) -> bool:
        """Whether a unit cannot be started: the first directory that has it decides.

        A generator's unit wins over those below /usr.
        """
        if unit in self._masked_by_kernel:
            return True
        for directory in UNIT_DIRECTORIES[:1] if generated else UNIT_DIRECTORIES:
            path = f"{directory}/{unit}"
            if path in self._paths("masked"):
                return True
            if path in self._paths("unit"):
                return False
        return False

    @property
    def _has_target(self) -> bool:
        return not self._is_masked("swap.target")

    def fstab(self) -> Iterator[SwapSourceShape]:
        if self._off & {"systemd.swap", "fstab"} or not self._has_target:
            return
        for line in fstab.swap_lines(self._reading.text("/etc/fstab")):
            if line.auto and not self._is_masked(line.unit, generated=True):
                yield _source("fstab", "/etc/fstab", line.text, line.number)

    def units(self) -> Iterator[SwapSourceShape]:
        for path in self._paths("wanted"):
            directory, _, name = path.rpartition("/")
            wants = directory.rpartition("/")[2].rpartition(".")[0]
            if not self._is_masked(name) and not self._is_masked(wants):
                yield _source("unit", path, name)
        if self._gpt_auto_counts:
            for path in self._paths("generated"):
                name = path.rpartition("/")[2]
                if not self._is_masked(name):
                    yield _source("gpt-auto", path, name)

    @property
    def _gpt_auto_counts(self) -> bool:
        """It leaves swap alone where fstab has a line of that type, whatever comes of it."""
        return (
            not self._off & {"systemd.swap", "systemd.gpt_auto"}
            and self._has_target
            and not list(fstab.swap_lines(self._reading.text("/etc/fstab")))
        )

    def zram(self) -> Iterator[SwapSourceShape]:
        has_generator = any(path.endswith("/zram-generator") for path in self._paths("generator"))
        if not has_generator or "systemd.zram" in self._off or not self._has_target:
            return
        for source in _zram(self._reading):
            device = source["what"]
            if not self._is_masked(f"dev-{device}.swap", generated=True) and not self._is_masked(
                f"systemd-zram-setup@{device}.service"
            ):
                yield source

    def services(self) -> Iterator[SwapSourceShape]:
        for line in self._paths("service"):
            link, _, name = line.rpartition(" ")
            if self._is_masked(name) or (name in AGENTS and not self._agent_swaps()):
                continue
            if (
                name == "dphys-swapfile.service"
                and _stated(self._reading.text(DPHYS_CONFIG), "CONF_SWAPSIZE") == "0"
            ):
                continue
            if name in AGENTS:
                yield _source("service", WAAGENT_CONFIG, f"{name}: ResourceDisk.EnableSwap=y")
            else:
                yield _source("zram" if name.startswith("zram") else "service", link, name)
        for what, file, text in self._suspects():
            name = _unit_of(file)
            if what == "script":
                if file not in _RC_LOCAL or not self._is_masked("rc-local.service"):
                    yield _source("script", file, text)
            elif (
                what == "enabled"
                and "swapon" in text
                and name not in SERVICES
                and not self._is_masked(name)
            ):
                yield _source("service", file, text)

    def _agent_swaps(self) -> bool:
        lines = self._reading.text(WAAGENT_CONFIG)
        stated = {
            name: (_stated(lines, f"ResourceDisk.{name}") or "").lower()
            for name in ("EnableSwap", "Format", "SwapSizeMB")
        }
        return (
            stated["EnableSwap"] == "y" and stated["Format"] != "n" and stated["SwapSizeMB"] != "0"
        )

    def _suspects(self) -> Iterator[tuple[str, str, str]]:
        for line in self._reading.text("suspects"):
            what, _, rest = line.partition(" ")
            file, _, text = rest.partition(":")
            yield what, file, " ".join(text.split())

    def cloud_init(self) -> Iterator[SwapSourceShape]:
        sizes: dict[str, set[str]] = {}
        for line in self._reading.text("cloud"):
            file, _, text = line.partition(":")
            key, _, value = text.strip().partition(":")
            if text.startswith("swap"):
                sizes[file] = set()
                if re.search(r"filename.*size|size.*filename", value):
                    yield _source("cloud-init", file, text.strip())
            elif text.strip().startswith("-"):
                yield _source("cloud-init", file, text.strip())
            elif file in sizes and value.strip() not in ("", "0"):
                sizes[file].add(key.strip())
                if sizes[file] == {"filename", "size"}:
                    yield _source("cloud-init", file, "swap")

    def undecided(self) -> Iterator[str]:
        if self._reading.value("systemd") is None:
            yield "it does not run systemd: what its init turns on at boot is not known"
            return
        if self._gpt_auto_counts and not self._paths("generated"):
            for path in self._paths("partition"):
                device = path.rpartition("/b")[2]
                yield f"partition {device} is of the type swap: systemd-gpt-auto may use it"
        if self._gpt_auto_counts and self._reading.value("partitions"):
            yield "the types of its partitions are not known (no udev): one may be swap"
        for path in self._paths("generator"):
            if not path.endswith("/zram-generator"):
                yield f"{path} may make a swap unit"
        for what, file, text in self._suspects():
            name = _unit_of(file)
            if what == "pulled" and "swapon" in text and not self._is_masked(name):
                yield f"{name} calls swapon, and another unit may start it"
            elif what == "enabled" and "swapon" not in text and not self._is_masked(name):
                units = [word for word in re.split(r"[= ]", text) if word.endswith(".swap")]
                if any(not self._is_masked(unit) for unit in units):
                    yield f"{name} pulls in {', '.join(units)}"
        agents = [line for line in self._paths("service") if line.rpartition(" ")[2] in AGENTS]
        if self._agent_swaps() and not agents:
            yield f"{WAAGENT_CONFIG} asks for swap, and whether its agent is started is not known"


def _unit_of(file: str) -> str:
    directory, _, name = file.rpartition("/")
    return directory.rpartition("/")[2].removesuffix(".d") if ".service.d" in directory else name


def _source(kind: Kind, file: str, what: str, line: int | None = None) -> SwapSourceShape:
    return {"kind": kind, "file": file, "line": line, "what": what}


def _stated(lines: list[str], name: str) -> str | None:
    """The value of ``NAME=value`` in a file of assignments, the last one."""
    found = None
    for line in lines:
        key, equals, value = line.split("#")[0].partition("=")
        if equals and key.strip() == name:
            found = value.strip().strip("\"'")
    return found


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

    def parse(self, readings: probe.Readings) -> SwapShape:
        return parse(readings[PROBE])
