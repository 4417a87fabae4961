"""What turns swap on at the next boot: fstab, units, zram, services, cloud-init, scripts.

Sources: systemd-fstab-generator(8), systemd.swap(5), systemd-gpt-auto-generator(8),
kernel-command-line(7), zram-generator.conf(5), cloud-init's ``cc_mounts``, dphys-swapfile(8),
WALinuxAgent's ``waagent.conf``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Literal, NamedTuple

from kubenode.linux import fstab, kernel_command_line
from kubenode.linux.place import Place

UNIT_DIRECTORIES = (
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
"""Where units are at boot, those that win first; ``/run`` is empty then."""
ZRAM_DIRECTORIES = ("/etc/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd")
"""Where zram-generator's configuration is at boot, those that win first."""
ZRAM_CONFIG = "zram-generator.conf"
ZRAMSWAP_CONFIG = "/etc/default/zramswap"
DPHYS_CONFIG = "/etc/dphys-swapfile"
WAAGENT_CONFIG = "/etc/waagent.conf"
FSTAB = "/etc/fstab"
CLOUD_DIRECTORY = "/etc/cloud/cloud.cfg.d"
SERVICES = (
    "dphys-swapfile.service",
    "swapspace.service",
    "systemd-swap.service",
    "zram-config.service",
    "zram-swap.service",
    "zramswap.service",
)
"""Services that turn swap on by a program of their own."""
AGENTS = ("walinuxagent.service", "waagent.service")

_RC_LOCAL = ("/etc/rc.local", "/etc/rc.d/rc.local")
_OFF = frozenset({"0", "no", "n", "false", "f", "off"})

Kind = Literal["fstab", "unit", "zram", "service", "gpt-auto", "cloud-init", "script"]


@dataclass(frozen=True, slots=True)
class Source(Place):
    """Something that turns swap on at boot."""

    kind: Kind
    what: str
    """The line, or the unit's or zram device's name."""


class Started(NamedTuple):
    """A service that is started at boot."""

    link: str
    """What starts it."""
    name: str


class Suspect(NamedTuple):
    """A line that calls swapon or pulls swap units in."""

    how: str
    """``enabled``: of a unit that is started; ``pulled``: of one that another unit may start;
    ``script``: of a script that is run at boot; ``run``: of one that a unit runs."""
    file: str
    text: str
    by: str = ""
    """The unit that runs the script."""

    @property
    def unit(self) -> str:
        """The unit that it is in, drop-ins included, or that runs it."""
        if self.by:
            return self.by
        directory, _, name = self.file.rpartition("/")
        if ".service.d" in directory:
            return directory.rpartition("/")[2].removesuffix(".d")
        return name


class Partition(NamedTuple):
    """A partition of GPT's swap type."""

    file: str
    """udev's, such as ``/run/udev/data/b8:3``."""
    uuid: str
    """Of the partition, not of what is in it; empty where udev has none."""


@dataclass(frozen=True)
class SwapAtBoot:
    """What the next boot would turn on.

    + runs_systemd: whether it is systemd that boots
    + command_line: the kernel's
    + files: lines of ``/etc/fstab``, of zram-generator's and the services' configuration, by path
    + masked: paths of units that mask
    + units: paths of ``.swap`` units
    + wanted: links to ``.swap`` units below ``.wants``, ``.requires`` and ``.upholds``
    + generated: ``.swap`` units that systemd-gpt-auto-generator has made for this boot
    + generators: paths of those that may make swap units
    + partitions: those of GPT's swap type, where the generator for them is
    + knows_partitions: False where the types of partitions cannot be told
    + services: those of :data:`SERVICES` and :data:`AGENTS` that are started
    + suspects: in units and scripts
    + cloud_config: lines about swap of cloud-init's configuration, where it is still to be applied,
      each behind its file and a colon
    """

    runs_systemd: bool = True
    command_line: str = ""
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    masked: Sequence[str] = ()
    units: Sequence[str] = ()
    wanted: Sequence[str] = ()
    generated: Sequence[str] = ()
    generators: Sequence[str] = ()
    partitions: Sequence[Partition] = ()
    knows_partitions: bool = True
    services: Sequence[Started] = ()
    suspects: Sequence[Suspect] = ()
    cloud_config: Sequence[str] = ()

    def sources(self) -> list[Source]:
        """All that turns swap on."""
        return [
            *self._fstab(),
            *self._units(),
            *self._zram(),
            *self._services(),
            *self._scripts(),
            *self._cloud_init(),
        ]

    @cached_property
    def _parameters(self) -> list[tuple[str, str | None]]:
        return kernel_command_line.parameters(self.command_line)

    def _is_off(self, *names: str) -> bool:
        return any(name in names and value in _OFF for name, value in self._parameters)

    def _is_masked(self, unit: str, generated: bool = False) -> bool:
        """Whether a unit cannot be started: the first directory that has it decides.

        A generator's unit wins over those below /usr.
        """
        if ("systemd.mask", unit) in self._parameters:
            return True
        for directory in UNIT_DIRECTORIES[:1] if generated else UNIT_DIRECTORIES:
            path = f"{directory}/{unit}"
            if path in self.masked:
                return True
            if path in self.units:
                return False
        return False

    @property
    def _has_target(self) -> bool:
        return not self._is_masked("swap.target")

    @property
    def _swap_lines(self) -> list[fstab.SwapLine]:
        return list(fstab.swap_lines(self.files.get(FSTAB, ())))

    def _fstab(self) -> Iterator[Source]:
        if self._is_off("systemd.swap", "fstab") or not self._has_target:
            return
        for line in self._swap_lines:
            if line.auto and not self._is_masked(line.unit, generated=True):
                yield Source(FSTAB, line.number, "fstab", line.text)

    def _units(self) -> Iterator[Source]:
        for path in self.wanted:
            directory, _, name = path.rpartition("/")
            wants = directory.rpartition("/")[2].rpartition(".")[0]
            if not self._is_masked(name) and not self._is_masked(wants):
                yield Source(path, None, "unit", name)
        if self.gpt_auto_counts:
            for path in self.generated:
                name = path.rpartition("/")[2]
                if not self._is_masked(name):
                    yield Source(path, None, "gpt-auto", name)

    @property
    def gpt_auto_counts(self) -> bool:
        """Whether it may turn a partition on.

        It leaves swap alone where fstab has a line of that type, whatever comes of it: "if swap is
        manually configured we won't interfere" (systemd's issues 6192 and 35429).
        """
        return (
            not self._is_off("systemd.swap", "systemd.gpt_auto")
            and self._has_target
            and not self._swap_lines
        )

    def _zram(self) -> Iterator[Source]:
        has_generator = any(path.endswith("/zram-generator") for path in self.generators)
        if not has_generator or self._is_off("systemd.zram") or not self._has_target:
            return
        for source in (*zram_devices(self.files), *self._zram_of_the_kernel()):
            device = source.what
            if not self._is_masked(f"dev-{device}.swap", generated=True) and not self._is_masked(
                f"systemd-zram-setup@{device}.service"
            ):
                yield source

    def _zram_of_the_kernel(self) -> Iterator[Source]:
        """``systemd.zram`` makes zram0 whether it is configured or not."""
        values = [value for name, value in self._parameters if name == "systemd.zram"]
        # with a size of 0 it is none, else it is a source already
        stated = any(section.device == "zram0" for section in zram_sections(self.files))
        if values and values[-1] not in _OFF and not stated:
            yield Source(kernel_command_line.PATH, None, "zram", "zram0")

    def _services(self) -> Iterator[Source]:
        for link, name in self.services:
            if self._is_masked(name) or (name in AGENTS and not self._agent_swaps):
                continue
            if (
                name == "dphys-swapfile.service"
                and stated(self.files.get(DPHYS_CONFIG, ()), "CONF_SWAPSIZE") == "0"
            ):
                continue
            if name in AGENTS:
                what = f"{name}: ResourceDisk.EnableSwap=y"
                yield Source(WAAGENT_CONFIG, None, "service", what)
            else:
                yield Source(link, None, "zram" if name.startswith("zram") else "service", name)

    @property
    def agent_may_swap(self) -> bool:
        """Whether WALinuxAgent is told to make swap, and is or may be started."""
        started = [name for _, name in self.services if name in AGENTS]
        return self._agent_swaps and not (started and all(map(self._is_masked, started)))

    @property
    def _agent_swaps(self) -> bool:
        lines = self.files.get(WAAGENT_CONFIG, ())
        said = {
            name: (stated(lines, f"ResourceDisk.{name}") or "").lower()
            for name in ("EnableSwap", "Format", "SwapSizeMB")
        }
        return said["EnableSwap"] == "y" and said["Format"] != "n" and said["SwapSizeMB"] != "0"

    def _scripts(self) -> Iterator[Source]:
        for suspect in self.suspects:
            if suspect.how == "script":
                if suspect.file not in _RC_LOCAL or not self._is_masked("rc-local.service"):
                    yield Source(suspect.file, None, "script", suspect.text)
            elif suspect.how == "run":
                # what these run is their own source
                if suspect.by not in SERVICES and not self._is_masked(suspect.by):
                    yield Source(suspect.file, None, "script", suspect.text)
            elif (
                suspect.how == "enabled"
                and "swapon" in suspect.text
                and suspect.unit not in SERVICES
                and not self._is_masked(suspect.unit)
            ):
                yield Source(suspect.file, None, "service", suspect.text)

    def _cloud_init(self) -> Iterator[Source]:
        # the directory's files win over the main one, and the later name over the earlier
        # (cloud-init's read_conf_d); swap of a size of 0 is none (cc_mounts)
        stated: dict[str, dict[str, str]] = {}
        for line in self.cloud_config:
            file, _, text = line.partition(":")
            key, _, value = text.strip().partition(":")
            if text.startswith("swap"):
                inline = re.findall(r"(filename|size) *: *([^ ,}]+)", value)
                stated.setdefault(file, {}).update(inline)
            elif text.strip().startswith("-"):
                yield Source(file, None, "cloud-init", text.strip())
            elif file in stated and value.strip():
                stated[file][key.strip()] = value.strip()
        by_rank = sorted(stated, key=lambda file: (file.startswith(f"{CLOUD_DIRECTORY}/"), file))
        counts = {key: value for file in by_rank for key, value in stated[file].items()}
        if "filename" in counts and counts.get("size", "0") != "0":
            last = next(file for file in reversed(by_rank) if "size" in stated[file])
            yield Source(last, None, "cloud-init", "swap")

    def undecided(self) -> list[str]:
        """What may turn swap on, and whether it does cannot be told: a sentence each."""
        if not self.runs_systemd:
            return ["it does not run systemd: what its init turns on at boot is not known"]
        found = [*self._undecided_generators(), *self._undecided_units()]
        if self.agent_may_swap and not any(name in AGENTS for _, name in self.services):
            found.append(
                f"{WAAGENT_CONFIG} asks for swap, and whether its agent is started is not known"
            )
        return list(dict.fromkeys(found))

    def _undecided_generators(self) -> Iterator[str]:
        if self.gpt_auto_counts and not self.generated:
            for partition in self.partitions:
                device = partition.file.rpartition("/b")[2]
                yield f"partition {device} is of the type swap: systemd-gpt-auto may use it"
        if self.gpt_auto_counts and not self.knows_partitions:
            yield "the types of its partitions are not known (no udev): one may be swap"
        for path in self.generators:
            if not path.endswith("/zram-generator"):
                yield f"{path} may make a swap unit"

    def _undecided_units(self) -> Iterator[str]:
        for suspect in self.suspects:
            calls_swapon = "swapon" in suspect.text
            if self._is_masked(suspect.unit):
                continue
            if suspect.how == "pulled" and calls_swapon:
                yield f"{suspect.unit} calls swapon, and another unit may start it"
            elif suspect.how == "enabled" and not calls_swapon:
                words = re.split(r"[= ]", suspect.text)
                units = [word for word in words if word.endswith(".swap")]
                if any(not self._is_masked(unit) for unit in units):
                    yield f"{suspect.unit} pulls in {', '.join(units)}"


def lines_of(text: str) -> list[str]:
    """A file's lines, as the rules here number them.

    + text: all of it
    """
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def stated(lines: Sequence[str], name: str) -> str | None:
    """The value of ``NAME=value`` in a file of assignments, the last one; None when there is none.

    + lines: the file's; what is behind a ``#`` counts for nothing
    + name: the variable
    """
    found = None
    for line in lines:
        key, equals, value = line.split("#")[0].partition("=")
        if equals and key.strip() == name:
            found = value.strip().strip("\"'")
    return found


class ZramSection(NamedTuple):
    """A section of a zram device in a file that counts."""

    file: str
    device: str
    first: int
    """The number of its line, from 1."""
    last: int
    settings: Mapping[str, str]


def zram_sections(files: Mapping[str, Sequence[str]]) -> Iterator[ZramSection]:
    """The sections of zram devices that zram-generator.conf(5) reads, in its order.

    + files: lines by path; the first main file of :data:`ZRAM_DIRECTORIES` counts, and drop-ins of
      all of them, those of a name once
    """
    main = [f"{directory}/{ZRAM_CONFIG}" for directory in ZRAM_DIRECTORIES]
    paths = [path for path in main if path in files][:1]
    names: dict[str, str] = {}
    for directory in (f"{path}.d" for path in main):
        for path in files:
            if path.rpartition("/")[0] == directory:
                names.setdefault(path.rpartition("/")[2], path)
    for path in (*paths, *(names[name] for name in sorted(names))):
        lines = [line.strip() for line in files[path]]
        heads = [number for number, line in enumerate(lines, 1) if line.startswith("[")]
        for first, after in pairwise([*heads, len(lines) + 1]):
            device = lines[first - 1].strip("[]")
            if re.fullmatch(r"zram[0-9]+", device):
                pairs = [line.partition("=") for line in lines[first : after - 1]]
                settings = {key.strip(): value.strip() for key, equals, value in pairs if equals}
                yield ZramSection(path, device, first, after - 1, settings)


def zram_devices(files: Mapping[str, Sequence[str]]) -> list[Source]:
    """The swap devices of zram-generator.conf(5).

    + files: lines by path, as of :func:`zram_sections`

    One with a size of 0, or a file system, is no swap; of what several files state the last counts.
    """
    devices: dict[str, Source] = {}
    settings: dict[str, dict[str, str]] = {}
    for section in zram_sections(files):
        devices[section.device] = Source(section.file, section.first, "zram", section.device)
        settings.setdefault(section.device, {}).update(section.settings)
    return [source for name, source in devices.items() if _is_swap(settings[name])]


def _is_swap(settings: Mapping[str, str]) -> bool:
    return (
        "0" not in (settings.get("zram-size"), settings.get("max-zram-size"))
        and settings.get("fs-type", "swap") == "swap"
        and "mount-point" not in settings
    )
