"""containerd: what is installed, what its configuration says, and what the daemon does."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal, TypedDict

from packaging.version import Version

from kubenode.facts import (
    cni_found,
    file_systems,
    image_based,
    left_alone,
    mounts,
    packages,
    registry_hosts,
    runtimes,
)
from kubenode.facts.image_based import SystemShape
from kubenode.facts.left_alone import LeftAloneShape
from kubenode.facts.registry_hosts import RegistryFileState, RegistryHostsShape
from kubenode.facts.runtime import (
    LEFT_SUFFIXES,
    CniShape,
    DataRootShape,
    HandlerShape,
    InstalledShape,
    PackageShape,
    RuntimeShape,
)
from kubenode.files import go_keys, whole_file
from kubenode.files.exact_text import text_of
from kubenode.linux.cgroups import Driver, placed_by
from kubenode.linux.place import PlaceShape
from kubenode.linux.unit import PROPERTIES, parse_unit
from kubenode.packages.choice import upstream_of
from kubenode.run import host_script
from kubenode.runtimes import program_change
from kubenode.runtimes.config_swap import UNPROVEN_SUFFIX, read_note
from kubenode.runtimes.containerd import releases
from kubenode.runtimes.containerd.config import Config, parse
from kubenode.runtimes.containerd.handlers import Handler
from kubenode.runtimes.containerd.imports import in_force, load_order
from kubenode.runtimes.containerd.packages import NEED_IT, RELATED
from kubenode.runtimes.containerd.registry import registry_conflict
from kubenode.runtimes.containerd.state import UNCLEAR_CONFIG
from kubenode.runtimes.edit import ConfigError
from kubenode.runtimes.other_runtimes import RuntimesShape
from kubenode.runtimes.runtime import CONTAINERD
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PACKAGE_PROBE = "containerd-package"
DAEMON_PROBE = "containerd"

_MOST_DEPRECATIONS = 100
"""That are read: upstream has a dozen."""

_MOST_BYTES = 256 * 1024
"""Of the configuration and its imports; there may be 64."""

DEFAULT_CONFIG = "/etc/containerd/config.toml"
DEFAULT_SOCKET = CONTAINERD.socket
DEFAULT_ROOT = CONTAINERD.data_root


class ContainerdPackageShape(InstalledShape):
    """What :class:`ContainerdPackage` returns."""

    packages: list[PackageShape]
    """What is installed of the packages that containerd comes in, that come with it, and that need
    it: ``containerd``, ``containerd.io``, ``runc``, ``docker.io``, ``docker-ce``, ..."""
    change: str | None
    """A change of the program that was interrupted: ``containerd 1.7.24 -> 2.1.9``."""
    left_alone: LeftAloneShape
    runtimes: RuntimesShape
    system: SystemShape


class ImportShape(TypedDict):
    """A file the main one imports."""

    path: str
    version: int | None
    error: str | None


class DeprecationShape(TypedDict):
    """Something the daemon is used with, and that a later release will not have."""

    id: str
    """Such as ``cri-registry-mirrors``."""
    message: str


class PodsShape(TypedDict):
    """Running CRI containers (pause containers included), by the driver that placed them."""

    systemd: int
    cgroupfs: int


class ContainerdShape(RuntimeShape):
    """What containerd is, how it is configured and what it does.

    ``effective`` is whether the settings are those of ``containerd config dump``.
    """

    imports: list[ImportShape]
    snapshotter: str | None
    registry_config_path: str | None
    registry_conflict: str | None
    """``FILE:LINE:COLUMN: reason`` of registry settings with which CRI does not start."""
    registry_hosts: RegistryHostsShape | None
    """The ``hosts.toml`` files of the directories in use; None where these are not known."""
    disabled_plugins: list[str]
    deprecations: list[DeprecationShape] | None
    """What the running daemon says that it is used with; None: it does not say, since it does not
    run or is older than 1.6.27 or 1.7.12."""
    ctr: bool
    """Whether ``ctr`` is there, which is how the daemon is asked."""
    program_replaced: bool | None
    """Whether the daemon runs another program than the one that is there, since that was exchanged
    after it started; None when that is unknown or it does not run."""
    running_version: str | None
    """What the daemon says that it is, where its program was replaced; None otherwise, and where it
    does not say."""
    pods: PodsShape | None
    """None when the daemon's state cannot be read."""


class ContainerdServiceShape(ContainerdShape):
    """What :class:`Containerd` returns."""

    runtimes: RuntimesShape


class UnprovenShape(TypedDict):
    """A file of a change that was interrupted."""

    path: str
    now: Literal["new", "old", "edited"]
    """``new``: what the change put there. ``old``: what was there before. ``edited``: neither."""


class ContainerdFilesShape(TypedDict):
    """What :class:`ContainerdFiles` returns."""

    containerd: ContainerdShape
    runtimes: RuntimesShape
    files: dict[str, str]
    """Exact content of the main file and its imports, by path; bytes that are no UTF-8 as lone
    surrogates (PEP 383). It may hold registry passwords: for operations, not for reports."""
    unreadable: list[str]
    """Files of these that exist and could not be read."""
    registries: dict[str, RegistryFileState]
    """``hosts.toml`` files, and certificates that kubenode put beside them, by path; not what is in
    them."""
    unproven: list[UnprovenShape] | None
    """Files of a change that was interrupted before CRI had answered with it; None when there is a
    note of one that cannot be followed."""


SHARED_PROGRAM = host_script.read(__file__, "containerd_program.sh")
"""What every probe that runs containerd, or looks beside it, begins with."""

_PATH = host_script.read(__file__, "containerd_path.sh")
_PACKAGE_SCRIPT = host_script.read(
    __file__, "containerd_package.sh", CHANGE=program_change.DIRECTORY
)
_DAEMON_SCRIPT = host_script.read(__file__, "containerd_daemon.sh", UNPROVEN_SUFFIX=UNPROVEN_SUFFIX)

(UNIT,) = CONTAINERD.units
_PACKAGES = tuple(name for names in CONTAINERD.packages.values() for name in names)
_ASKED_FOR = tuple(dict.fromkeys((*_PACKAGES, *RELATED, *NEED_IT)))

_PROPERTIES = ("ExecStart", "MainPID", *PROPERTIES)


def script_package() -> probe.Script:
    """The script of the package probe."""
    return probe.Script(
        f"{_PATH}\n{_PACKAGE_SCRIPT}\n{packages.shell(_ASKED_FOR)}",
        units=(UNIT,),
        properties=("ExecStart",),
        shared=(SHARED_PROGRAM,),
        answers=("binary", "version"),
    )


_CONFIG = host_script.read(
    __file__,
    "containerd_config.sh",
    DEFAULT_CONFIG=DEFAULT_CONFIG,
    DEFAULT_SOCKET=DEFAULT_SOCKET,
    DEFAULT_ROOT=DEFAULT_ROOT,
    LEFT_SUFFIXES=" ".join(LEFT_SUFFIXES),
)
_DATA_ROOT = host_script.read(__file__, "data_root.sh")


def script_daemon() -> probe.Script:
    """The script of the daemon probe: configuration and service; ``config dump`` only reads."""
    return probe.Script(
        f"{_PATH}\n{_DATA_ROOT}\n{_CONFIG}\n{cni_found.SCRIPT}\n{_DAEMON_SCRIPT}\n{registry_hosts.SCRIPT}",
        files=(DEFAULT_CONFIG,),
        units=(UNIT,),
        properties=_PROPERTIES,
        shared=(SHARED_PROGRAM, file_systems.ASK),
        programs=("tail",),
        answers=("path", "socket_state", "pods"),
    )


def script_left_alone() -> probe.Script:
    """The script of the probe of what unattended-upgrades and needrestart leave alone."""
    return left_alone.script([CONTAINERD.name])


def parse_left_alone(reading: Reading) -> LeftAloneShape:
    """What the two leave alone, from what the host sent."""
    return left_alone.parse(reading, [CONTAINERD.name], [], [UNIT])


def parse_package(reading: Reading) -> InstalledShape:
    """The installed part of the shape from what the host sent."""
    return _installed(reading, packages.parse(reading, _ASKED_FOR))


def _installed(reading: Reading, found: packages.PackagesShape) -> InstalledShape:
    version = releases.parse_version(reading.value("version") or "")
    own = [package for package in found["installed"] if package["name"] in _PACKAGES]
    return {
        "binary": reading.value("binary") or None,
        "version": str(version) if version else None,
        "package": own[0] if own else None,
        "dpkg_interrupted": found["dpkg_interrupted"],
        "dpkg_at_work": found["dpkg_at_work"],
    }


def _pods(reading: Reading) -> PodsShape | None:
    if "pods" not in reading.texts:
        return None
    pods: PodsShape = {"systemd": 0, "cgroupfs": 0}
    for line in filter(None, reading.text("pods")):
        container, _, path = line.partition(" ")
        pods[placed_by(container, path)] += 1
    return pods


def _cri(reading: Reading) -> Literal["serving", "disabled", "down", "unknown"]:
    socket = reading.value("socket_state")
    if socket == "absent":
        return "down"
    if socket != "answers" or reading.is_unreadable("plugins"):
        return "unknown"
    plugins = [line.split() for line in reading.text("plugins") if line]
    if not plugins:
        return "down"
    for words in plugins:
        if words[:2] == ["io.containerd.grpc.v1", "cri"]:
            return "serving" if words[-1] == "ok" else "disabled"
    return "disabled"


@dataclass(frozen=True)
class Daemon:
    """What the daemon probe found: the shape, and the files themselves."""

    shape: ContainerdShape
    files: dict[str, bytes]
    unreadable: list[str]
    unproven: list[UnprovenShape] | None
    registries: dict[str, RegistryFileState]


def parse_daemon(package: Reading, daemon: Reading) -> Daemon:
    """The shape from what the host sent."""
    installed = parse_package(package)
    version = Version(installed["version"]) if installed["version"] else None
    path = daemon.value("path") or DEFAULT_CONFIG
    imported = [name for name in daemon.text("imports") if name]
    files = _files(daemon, path, imported)
    folds = releases.release_of(version).folds if version else go_keys.any_case
    main, error = _parsed(path, files.get(path), 1, folds)
    drop_ins, imports = _imports(daemon, imported, files, main.version if main else 1, folds)
    dump, dump_error = _parsed("containerd config dump", _dump(daemon), 1, folds)
    if daemon.value("path") is None:
        error = UNCLEAR_CONFIG
    elif path in daemon.unreadable:
        error = _cannot_read(daemon, path)
    elif not error and not dump:
        error = " ".join(daemon.text("dump_error")) or dump_error
    unit = parse_unit({} if daemon.is_unreadable(f"unit:{UNIT}") else daemon.unit(UNIT))
    active = unit is not None and unit["active"] == "active"
    shape: ContainerdShape = {
        "installed": installed,
        "config": {
            "path": path,
            # of systemd nobody knows what file it gives containerd, where it does not answer
            "exists": None if daemon.unreadable & {path, f"unit:{UNIT}"} else path in files,
            "version": main.version if main and not main.is_empty else None,
            "highest_version": releases.highest_config_version(version) if version else None,
            "error": error,
        },
        "imports": imports,
        "effective": dump is not None,
        **_settings(dump or main, [*([main] if main else []), *drop_ins], version),
        # of systemd nobody knows what file it gives containerd, where it does not answer
        "left_by_packages": None
        if "left" not in daemon.texts
        or daemon.value("path") is None
        or f"unit:{UNIT}" in daemon.unreadable
        else [name for name in daemon.text("left") if name],
        "deprecations": _deprecations(daemon),
        "registry_hosts": registry_hosts.parse(
            daemon, None if dump is None else dump.settings.registry_config_path or "", version
        ),
        "data_root": _data_root(daemon, dump),
        "cni": _cni(daemon, dump),
        "unit": unit,
        "socket": daemon.value("socket") or DEFAULT_SOCKET,
        "ctr": daemon.value("ctr") == "yes",
        "cri": _cri(daemon),
        "restart_pending": [name for name in daemon.text("changed") if name]
        if active and "changed" in daemon.texts
        else None,
        "program_replaced": _replaced(daemon) if active else None,
        "running_version": _running_version(daemon),
        "clock_set_back": [name for name in daemon.text("future") if name],
        "pods": _pods(daemon),
    }
    unreadable = {path, "imports"} & daemon.unreadable
    unreadable |= set(imported) - set(files)
    note = f"{path}{UNPROVEN_SUFFIX}"
    unreadable |= {note} & daemon.unreadable
    return Daemon(
        shape,
        files,
        sorted(unreadable),
        None if note in daemon.unreadable else _unproven(daemon.exact.get(note), files),
        registry_hosts.states(daemon),
    )


def _files(daemon: Reading, path: str, imported: list[str]) -> dict[str, bytes]:
    """The main file and what it imports; the main file alone where all are too long."""
    files = {name: daemon.exact[name] for name in [path, *imported] if name in daemon.exact}
    if sum(map(len, files.values())) > _MOST_BYTES:
        return {name: content for name, content in files.items() if name == path}
    return files


def _imports(
    daemon: Reading,
    imported: list[str],
    files: dict[str, bytes],
    version: int,
    folds: go_keys.Decoder,
) -> tuple[list[Config], list[ImportShape]]:
    """The imports that can be used, and all of them with what is wrong with each."""
    configs: list[Config] = []
    shapes: list[ImportShape] = []
    for name in imported:
        config, trouble = _parsed(name, files.get(name), version, folds)
        if name in daemon.unreadable:
            trouble = _cannot_read(daemon, name)
        elif name in daemon.exact and name not in files:
            trouble = f"{name}: is not read, as all files together are longer than {_MOST_BYTES} B"
        shapes.append(
            {"path": name, "version": config.version if config else None, "error": trouble}
        )
        if config:
            configs.append(config)
    return configs, shapes


def _cannot_read(daemon: Reading, path: str) -> str:
    return f"{path}: {daemon.why_unreadable(path) or 'cannot be read'}"


def _unproven(note: bytes | None, files: dict[str, bytes]) -> list[UnprovenShape] | None:
    noted = [] if note is None else read_note(note)
    if noted is None:
        return None
    shapes: list[UnprovenShape] = []
    for file in noted:
        now = whole_file.sum_of(files.get(file.path))
        state: Literal["new", "old", "edited"] = (
            "old" if now == file.old else "new" if now == file.new else "edited"
        )
        shapes.append({"path": file.path, "now": state})
    return shapes


def _parsed(
    path: str, content: bytes | None, unstated_version: int, folds: go_keys.Decoder
) -> tuple[Config | None, str | None]:
    if content is None:
        return None, None
    try:
        return parse(content, path, unstated_version, folds), None
    except ConfigError as error:
        return None, str(error)


def _cni(daemon: Reading, dump: Config | None) -> CniShape:
    if dump is None:
        return cni_found.parse(daemon, None, None)
    settings = dump.settings
    return cni_found.parse(
        daemon, settings.cni_directories, settings.cni_conf_dir, settings.cni_has_loopback
    )


def _data_root(daemon: Reading, dump: Config | None) -> DataRootShape:
    # the flag wins, and `config dump` does not know it
    path = daemon.value("root_flag")
    if path is None and dump is not None:
        path = dump.settings.root or DEFAULT_ROOT
    shape: DataRootShape = {"path": path, "file_system": None, "error": None}
    if path is None:
        shape["error"] = "containerd does not say where it keeps images"
    elif path != DEFAULT_ROOT:
        mounted = mounts.mounted(daemon, "mounts_above") or {}
        # the shell read the same line: another path is one that it does not understand
        if path == daemon.value("data_root") and path not in daemon.unreadable:
            shape["file_system"] = file_systems.parse(daemon, [path], mounted).get(path)
        if shape["file_system"] is None:
            why = daemon.why_unreadable(path) or "it cannot be told where that is"
            shape["error"] = f"{path}: {why}"
    return shape


def _replaced(daemon: Reading) -> bool | None:
    return {"yes": True, "no": False}.get(daemon.value("replaced") or "")


def _running_version(daemon: Reading) -> str | None:
    for line in daemon.text("running_version"):
        if match := re.fullmatch(r"\s*Version:\s*(\S+)\s*", line):
            version = upstream_of(match[1])
            return str(version) if version else None
    return None


def _deprecations(daemon: Reading) -> list[DeprecationShape] | None:
    if "deprecations" not in daemon.texts:
        return None
    text = "\n".join(daemon.text("deprecations"))
    if not text.strip():
        return []
    try:
        stated = json.loads(text)
        found = [(each["id"], each["message"]) for each in stated[:_MOST_DEPRECATIONS]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return [
        {"id": name.rpartition("/")[2], "message": message}
        for name, message in found
        if isinstance(name, str) and isinstance(message, str)
    ]


def _dump(daemon: Reading) -> bytes | None:
    return "\n".join(daemon.text("dump")).encode() if "dump" in daemon.texts else None


class _SettingsShape(TypedDict):
    handlers: dict[str, HandlerShape]
    default_handler: str | None
    pause_image: str | None
    snapshotter: str | None
    registry_config_path: str | None
    registry_conflict: str | None
    disabled_plugins: list[str]


def _settings(
    effective: Config | None, configs: list[Config], version: Version | None
) -> _SettingsShape:
    if effective is None:
        return {
            "handlers": {},
            "default_handler": None,
            "pause_image": None,
            "snapshotter": None,
            "registry_config_path": None,
            "registry_conflict": None,
            "disabled_plugins": [],
        }
    settings = effective.settings
    counting = configs
    conflict = None
    if configs and version:
        release = releases.release_of(version)
        counting = in_force(load_order(configs, version), release)
        try:
            conflict = registry_conflict(counting, release)
        # what has no such type is an error of containerd's own
        except ConfigError as error:
            conflict = error
    return {
        "handlers": {
            name: _handler(handler, counting) for name, handler in settings.handlers.items()
        },
        "default_handler": settings.default_runtime_name,
        "pause_image": settings.pause_image,
        "snapshotter": settings.snapshotter,
        "registry_config_path": settings.registry_config_path or None,
        "registry_conflict": str(conflict) if conflict else None,
        "disabled_plugins": list(settings.disabled_plugins),
    }


def _handler(handler: Handler, configs: list[Config]) -> HandlerShape:
    stated: PlaceShape | None = None
    defined: PlaceShape | None = None
    for config in configs:
        own = config.settings.handlers.get(handler.name)
        if own and own.systemd_cgroup is not None:
            stated = {"file": config.path, "line": config.line_of(own.driver_path)}
        if own and own.runtime_type:
            defined = {"file": config.path, "line": config.line_of(own.type_path)}
    driver: Driver | None = None
    if handler.is_runc_type:
        driver = "systemd" if handler.systemd_cgroup else "cgroupfs"
    return {
        "runtime_type": handler.runtime_type,
        "recognised": handler.is_runc_type or handler.kind != "unrecognised",
        "cgroup_driver": driver,
        "stated": stated,
        "defined": defined,
    }


class ContainerdPackage(ProbeFact[ContainerdPackageShape]):
    """
    Returns what is installed of containerd, whether it is held, and which other runtimes the host
    has (:class:`ContainerdPackageShape`).

    .. code:: python

        {
            "binary": "/usr/bin/containerd",
            "version": "1.7.24",
            "package": {
                "name": "containerd",
                "version": "1.7.24~ds1-6+deb13u1",
                "held": True,
                "configured": True,
            },
            "dpkg_interrupted": False,
            "dpkg_at_work": None,
            "packages": [{"name": "containerd", ...}, {"name": "runc", ...}],
            "change": None,
            "left_alone": {
                "files": {"/etc/apt/apt.conf.d/52kubenode-containerd.conf": "..."},
                "services": {},
                "apt": True,
                "needrestart": False,
                "restarts": ["containerd.service"],
            },
            "runtimes": {"programs": ["containerd"], ...},
            "system": {"image": None, "usr": "writable"},
        }

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.containerd.ContainerdPackage
    """

    def command(self) -> str:
        return self.asking(
            {
                PACKAGE_PROBE: script_package(),
                image_based.PROBE: image_based.script(),
                left_alone.PROBE: script_left_alone(),
                runtimes.PROBE: runtimes.script(),
            }
        )

    def parse(self, readings: Readings) -> ContainerdPackageShape:
        reading = readings[PACKAGE_PROBE]
        found = packages.parse(reading, _ASKED_FOR)
        return {
            **_installed(reading, found),
            "packages": found["installed"],
            "change": reading.value("change") or None,
            "left_alone": parse_left_alone(readings[left_alone.PROBE]),
            "runtimes": runtimes.parse(readings),
            "system": image_based.parse(readings[image_based.PROBE]),
        }


class Containerd(ProbeFact[ContainerdServiceShape]):
    """
    Returns what containerd is, how it is configured, what it does, and which other runtimes the
    host has (:class:`ContainerdServiceShape`).

    .. code:: python

        {
            "installed": {"binary": "/usr/bin/containerd", "version": "1.7.24", ...},
            "config": {
                "path": "/etc/containerd/config.toml",
                "exists": True,
                "version": 2,
                "highest_version": 2,
                "error": None,
            },
            "imports": [],
            "effective": True,
            "handlers": {
                "runc": {
                    "runtime_type": "io.containerd.runc.v2",
                    "recognised": True,
                    "cgroup_driver": "systemd",
                    "stated": {"file": "/etc/containerd/config.toml", "line": 15},
                    "defined": {"file": "/etc/containerd/config.toml", "line": 12},
                },
            },
            "default_handler": "runc",
            "pause_image": "registry.k8s.io/pause:3.8",
            "snapshotter": "overlayfs",
            "registry_config_path": None,
            "registry_conflict": None,
            "registry_hosts": {"directories": {}, "files": {}, "open_to_others": []},
            "disabled_plugins": [],
            "left_by_packages": [],
            "deprecations": [
                {
                    "id": "cri-registry-mirrors",
                    "message": "The `mirrors` property of ... is deprecated since containerd v1.5 "
                    "and will be removed in containerd v2.4. Use `config_path` instead.",
                },
            ],
            "data_root": {"path": "/var/lib/containerd", "file_system": None, "error": None},
            "cni": {
                "bin_dirs": ["/opt/cni/bin"],
                "conf_dir": "/etc/cni/net.d",
                "config": "/etc/cni/net.d/10-flannel.conflist",
                "error": None,
                "plugins": ["flannel", "portmap", "loopback"],
                "found": {"/opt/cni/bin": ["flannel", "loopback", "portmap"]},
            },
            "unit": {"load": "loaded", "active": "active", "enabled": "enabled", ...},
            "socket": "/run/containerd/containerd.sock",
            "ctr": True,
            "cri": "serving",
            "restart_pending": ["/etc/containerd/config.toml"],
            "program_replaced": False,
            "running_version": None,
            "clock_set_back": [],
            "pods": {"systemd": 12, "cgroupfs": 0},
            "runtimes": {"programs": ["containerd"], ...},
        }

    Settings are the effective ones: what ``containerd config dump`` makes of all files. That is
    what the daemon would use after a restart; ``restart_pending`` names the files it has not read
    yet. Registry credentials are not part of it.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.containerd.Containerd
    """

    def command(self) -> str:
        return self.asking(
            {
                PACKAGE_PROBE: script_package(),
                DAEMON_PROBE: script_daemon(),
                runtimes.PROBE: runtimes.script(),
            }
        )

    def parse(self, readings: Readings) -> ContainerdServiceShape:
        shape = parse_daemon(readings[PACKAGE_PROBE], readings[DAEMON_PROBE]).shape
        return {**shape, "runtimes": runtimes.parse(readings)}


class ContainerdFiles(ProbeFact[ContainerdFilesShape]):
    """
    Returns what :class:`Containerd` does, and the content of its files
    (:class:`ContainerdFilesShape`).

    .. code:: python

        {
            "containerd": {"effective": True, ...},
            "runtimes": {"programs": ["containerd"], ...},
            "files": {"/etc/containerd/config.toml": "version = 2\\n"},
            "unreadable": [],
            "registries": {"/etc/containerd/certs.d/docker.io/hosts.toml": {"sum": "5f1d...", ...}},
            "unproven": [{"path": "/etc/containerd/config.toml", "now": "new"}],
        }

    What an operation needs to edit them; it may hold registry passwords.

    **Example:**

    .. code:: python

        files = host.get_fact(ContainerdFiles)["files"]
    """

    def command(self) -> str:
        return self.asking(
            {
                PACKAGE_PROBE: script_package(),
                DAEMON_PROBE: script_daemon(),
                runtimes.PROBE: runtimes.script(),
            }
        )

    def parse(self, readings: Readings) -> ContainerdFilesShape:
        daemon = parse_daemon(readings[PACKAGE_PROBE], readings[DAEMON_PROBE])
        return {
            "containerd": daemon.shape,
            "runtimes": runtimes.parse(readings),
            "files": {path: text_of(content) for path, content in daemon.files.items()},
            "unreadable": daemon.unreadable,
            "registries": daemon.registries,
            "unproven": daemon.unproven,
        }
