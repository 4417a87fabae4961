"""How kubelet is started: which process is kubelet's, its unit, and the files that they name.

Any user can name a process ``kubelet``, and a pod can as root. Such a process names files that root
would read. So a process counts only

+ as systemd's: the unit's main process, or one in the very cgroup of it, where only root puts one
+ where systemd does not start it (k0s, RKE2): with all its user ids 0, in the mount, PID and user
  namespaces of PID 1, from a program of that name that root alone can change. A name alone is not
  enough for root's processes either: ``sudo`` and other set-uid programs have the name of the link
  that they are started by.

Files are read only where root alone decides what is in them, see ``learn`` of
:mod:`kubenode.wire.probe`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from kubenode.files.cannot_tell import CannotTell
from kubenode.kubelet import command_line
from kubenode.kubelet.command_line import EnvironmentFile, Flag, Word
from kubenode.run import host_script
from kubenode.wire.reading import Reading

UNIT = command_line.UNIT
PROPERTIES = ("ExecStart", "EnvironmentFiles", "UnsetEnvironment", "MainPID", "ActiveState")

CONFIG = "/var/lib/kubelet/config.yaml"
ENVIRONMENT_FILES = (
    "/var/lib/kubelet/kubeadm-flags.env",
    "/etc/default/kubelet",
    "/etc/sysconfig/kubelet",
)
"""Those that kubeadm's drop-in names, read also where no unit does."""

# what kubeadm's drop-in (10-kubeadm.conf) starts, for a host that has its files and no unit yet
_KUBEADM = (
    "{ path=/usr/bin/kubelet ; argv[]=/usr/bin/kubelet "
    f"--config={CONFIG} $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS ; ignore_errors=no ; }}"
)

SCRIPT = host_script.read(
    __file__,
    "kubelet_start.sh",
    UNIT=UNIT,
    ENVIRONMENT_FILES="".join(path + "$nl" for path in ENVIRONMENT_FILES),
    ENVIRONMENT_LINES="$nl".join(ENVIRONMENT_FILES),
    CONFIG=CONFIG,
)
"""Sends ``kubelet_version``, the running process's arguments, and the files that are named."""


@dataclass(frozen=True)
class Start:
    """How kubelet runs, or would be started."""

    active: bool | None
    """Whether it runs; None when that is unknown."""
    flags: Mapping[str, Flag] = field(default_factory=lambda: MappingProxyType({}))
    config: str | None = None
    """Path of its configuration file; None when it is told none."""
    drop_ins: str | None = None
    """Its ``--config-dir``."""
    error: str | None = None
    """Why the rest cannot be told."""


def parse(reading: Reading) -> Start:
    """How kubelet is started, from what :data:`SCRIPT` sent."""
    return _start(reading, words)


def at_next_start(reading: Reading) -> Start:
    """How kubelet will be started, whatever it runs with now.

    + reading: what :data:`SCRIPT` sent
    """
    return _start(reading, words_at_next_start)


def _start(reading: Reading, of: Callable[[Reading], list[Word]]) -> Start:
    active: bool | None = reading.value("kubelet_runs") == "yes"
    if not active and reading.value("kubelet_process") == "unknown":
        active = None
    try:
        found = of(reading)
        flags = command_line.flags(found)
        config = _path(flags, "config", reading)
        drop_ins = _path(flags, "config-dir", reading)
    except CannotTell as trouble:
        return Start(active, error=f"cannot tell kubelet's flags: {trouble}")
    return Start(active, flags, config, drop_ins)


def words(reading: Reading) -> list[Word]:
    """kubelet's arguments, of its process or else of its unit; CannotTell where it is unknown."""
    arguments = [line[1:] for line in reading.text("kubelet_arguments") if line.startswith("=")]
    if arguments:
        return command_line.of_process(arguments)
    if reading.value("kubelet_process") == "unknown":
        raise CannotTell("a process of root's is named kubelet, and only root may look at it")
    return words_at_next_start(reading)


def words_at_next_start(reading: Reading) -> list[Word]:
    """kubelet's arguments as its unit would start it now; CannotTell where that is unknown.

    A host without the unit has those of kubeadm's drop-in.
    """
    key = f"unit:{UNIT}"
    if key in reading.unreadable:
        raise CannotTell(f"systemd does not answer for {UNIT}")
    properties: dict[str, list[str]] = {}
    for line in reading.text(key):
        name, equals, value = line.partition("=")
        if equals and name in (*PROPERTIES, "LoadState"):
            properties.setdefault(name, []).append(value)
    load = (properties.get("LoadState") or ["not-found"])[0]
    if load in ("not-found", "masked"):
        return command_line.of_unit(
            [_KUBEADM], "", "", [_file(reading, path, True) for path in ENVIRONMENT_FILES]
        )
    if load != "loaded":
        raise CannotTell(f"{UNIT} is {load}")
    shown = reading.text("kubelet_environment")
    # a line end in a value makes several lines of it
    if len(shown) != 1:
        raise CannotTell(f"{UNIT}: what systemd shows of its Environment cannot be read")
    environment = shown[0].removeprefix("Environment=")
    return command_line.of_unit(
        properties.get("ExecStart", []),
        environment,
        " ".join(properties.get("UnsetEnvironment", [])),
        _files(reading, properties.get("EnvironmentFiles", [])),
    )


def _files(reading: Reading, stated: list[str]) -> list[EnvironmentFile]:
    by_number: dict[int, list[str]] = {}
    for line in reading.text("kubelet_environment_files"):
        number, _, path = line.partition(" ")
        if number.isdecimal() and len(number) < 5:
            by_number.setdefault(int(number), []).append(path)
    files = []
    for position, line in enumerate(stated, 1):
        found = re.fullmatch(r"(/.*) \(ignore_errors=(yes|no)\)", line)
        if not found or position not in by_number:
            raise CannotTell(f"{UNIT}: what systemd shows of its EnvironmentFiles cannot be read")
        files += [_file(reading, path, found[2] == "yes") for path in by_number[position]]
    return files


def _file(reading: Reading, path: str, optional: bool) -> EnvironmentFile:
    if reading.is_unreadable(path):
        why = reading.why_unreadable(path)
        raise CannotTell(f"cannot read {path}" + (f": {why}" if why else ""))
    text = "\n".join(reading.text(path)) if path in reading.texts else None
    return EnvironmentFile(path, text, optional)


def _path(flags: Mapping[str, Flag], name: str, reading: Reading) -> str | None:
    flag = flags.get(name)
    if flag is None or not flag.value:
        return None
    path = flag.value
    if name == "config-dir":
        path = path.rstrip("/")
    if path != CONFIG and path not in reading.text("kubelet_looked_at"):
        raise CannotTell(f"--{name}={path[:100]} cannot be followed")
    return path
