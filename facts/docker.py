"""Docker Engine with cri-dockerd: what is installed, what is configured, and what both do.

MCR is Docker Engine by another vendor: the platform's name and the package tell.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, cast

from kubenode.facts import cni_found, file_systems, mounts, packages, pods, runtimes
from kubenode.facts.containerd import PodsShape, UnprovenShape
from kubenode.facts.os_release import os_release
from kubenode.facts.runtime import (
    LEFT_SUFFIXES,
    CniShape,
    DataRootShape,
    InstalledShape,
    PackageShape,
    RuntimeShape,
)
from kubenode.files import whole_file
from kubenode.files.cannot_tell import CannotTell
from kubenode.files.exact_text import text_of
from kubenode.linux.cgroups import Driver
from kubenode.linux.place import PlaceShape
from kubenode.linux.unit import PROPERTIES, UnitShape, parse_unit
from kubenode.packages.archive import ARCHITECTURES
from kubenode.run import host_script
from kubenode.runtimes import program_change
from kubenode.runtimes.config_swap import UNPROVEN_SUFFIX, read_note
from kubenode.runtimes.docker import cri_archive, cri_dockerd, daemon_json, flags
from kubenode.runtimes.docker.packages import ASKED_FOR, is_engine
from kubenode.runtimes.edit import ConfigError
from kubenode.runtimes.other_runtimes import RuntimesShape
from kubenode.runtimes.runtime import DOCKER
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import ProbeError, Reading, Readings

PACKAGE_PROBE = "docker-package"
DAEMON_PROBE = "docker"

UNIT = DOCKER.service
OPTIONS = ("/etc/default/docker", "/etc/sysconfig/docker")
"""Files in which distributions' units look for flags: Debian's and Ubuntu's, and RPMs'."""
ENGINE_SOCKET = "/run/docker.sock"
PID_FILE = "/run/docker.pid"

LICENCE = "/var/lib/docker/docker.lic"
"""Of MCR, in the usual root directory. Source: Mirantis/launchpad, pkg/configurer/linux.go."""

Edition = Literal["distribution", "docker", "mcr"]


class EngineShape(TypedDict):
    """What Docker Engine says of itself while it runs."""

    version: str | None
    platform: str | None
    """``Docker Engine - Community``, ``Mirantis Container Runtime``; None: it names none, as those
    of distributions."""
    driver: Driver | None
    cgroup_version: int | None
    storage_driver: str | None
    log_driver: str | None
    live_restore: bool | None
    containers_running: int | None
    default_runtime: str | None
    swarm: bool | None
    """Whether it is part of a Swarm, which live-restore excludes."""


class StatedShape(TypedDict):
    """A setting of daemon.json, and where it stands."""

    value: str
    """As JSON."""
    place: PlaceShape


class CriDockerdShape(TypedDict):
    """What cri-dockerd is and what it was started with."""

    binary: str | None
    version: str | None
    package: PackageShape | None
    service: str
    """The name of its unit: ``cri-docker.service``, or kubespray's ``cri-dockerd.service``."""
    unit: UnitShape | None
    socket_unit: UnitShape | None
    words: list[str]
    """The command line that systemd starts it with, its program first."""
    runs_with: list[str] | None
    """The command line of the process; None: it does not run, or is another user's."""
    older_than_engine: bool | None
    """Whether it has been running for longer than Docker Engine: the cgroup driver that it tells
    kubelet is the one of when it started. None: not known."""


class DockerShape(RuntimeShape):
    """What Docker Engine and cri-dockerd are, how they are configured and what they do.

    ``effective`` is whether the engine has answered. ``unit`` is docker.service.
    """

    edition: Edition | None
    """Whose it is; None where nobody can tell."""
    packages: list[PackageShape]
    """What is installed of the packages that have to do with Docker."""
    asked: str
    """Whether the engine was asked: ``asked``, ``down``, ``forbidden``, ``unasked`` (there is
    neither docker nor curl to ask it with), ``elsewhere`` (no socket at the usual place),
    ``distrusted`` (others than root decide who answers there)."""
    engine: EngineShape | None
    """None: it did not answer."""
    stated: dict[str, StatedShape]
    """What daemon.json says, by key. It may hold proxies' passwords: these are left out."""
    stated_driver: Driver | None
    """The driver that daemon.json or a flag states; None: neither does."""
    driver_place: PlaceShape | None
    unknown_keys: list[str]
    """Keys of daemon.json that no release knows: dockerd does not start with them."""
    in_both: list[str]
    """Keys that are flags of docker.service too: dockerd does not start with them."""
    flags: list[str] | None
    """Words of the command line in docker.service; None: it has a variable that is not known."""
    cri_dockerd: CriDockerdShape
    ip_forward: bool | None
    """Whether the kernel forwards: where it does not, dockerd turns it on, and drops what is
    forwarded."""
    pods: PodsShape | None
    """Running containers that may be of pods, by the driver that placed them; None: not known."""
    unproven: list[str]
    """Files of a change that was interrupted before CRI had answered with it."""


class DockerPackageShape(InstalledShape):
    """What :class:`DockerPackage` returns; the package is the engine's."""

    packages: list[PackageShape]
    cri_dockerd: str | None
    """The path of cri-dockerd."""
    cri_dockerd_version: str | None
    cri_build: str | None
    """The release archive that is in use, such as ``0.4.3-1f2e3d4c``, with its units; None: none
    is."""
    cri_dockerd_unit: bool
    """Whether systemd has a unit of it, and of its socket."""
    engine_active: bool | None
    """Whether docker.service runs; None: not known."""
    change: str | None
    """A change of the engine that was interrupted: ``docker-ce 5:29.7.2-1 (new), docker.io 26.1.5
    goes``."""
    architecture: str | None
    """As releases call it, ``amd64`` or ``arm64``; None for another one."""
    os_release: dict[str, str]
    licence: str | None
    """SHA-256 of MCR's licence; ``-`` for none, None when it cannot be read."""
    licence_is_private: bool
    """Whether it is root's, with mode 0400."""
    ip_forward: bool | None
    runtimes: RuntimesShape


class DockerServiceShape(DockerShape):
    """What :class:`Docker` returns."""

    runtimes: RuntimesShape


class DockerFilesShape(TypedDict):
    """What :class:`DockerFiles` returns."""

    docker: DockerShape
    runtimes: RuntimesShape
    file: str | None
    """Exact content of daemon.json, None when there is none; bytes that are no UTF-8 as lone
    surrogates (PEP 383)."""
    drop_in: str | None
    """Exact content of kubenode's drop-in for cri-dockerd."""
    unreadable: list[str]
    unproven: list[UnprovenShape] | None
    """Files of a change that was interrupted before CRI had answered with it; None when there is a
    note of one that cannot be followed."""


_IP_FORWARD = "/proc/sys/net/ipv4/ip_forward"
_CRI_UNITS = (*cri_dockerd.UNITS, *cri_dockerd.SOCKETS.values())
_DROP_INS = tuple(cri_dockerd.drop_in_of(unit) for unit in cri_dockerd.UNITS)
_SECRET = ("proxies", "http-proxy", "https-proxy", "log-opts")
_SHARED = host_script.read(__file__, "docker_units.sh")
_DATA_ROOT = host_script.read(__file__, "data_root.sh")
_STARTED = "ActiveEnterTimestampMonotonic"


def script_package() -> probe.Script:
    """The script of the package probe."""
    own = host_script.read(
        __file__,
        "docker_package.sh",
        ARCHIVES=cri_archive.ROOT,
        CHANGE=program_change.DIRECTORY,
        LICENCE=LICENCE,
        LINK=cri_archive.LINK,
        UNITS=" ".join(f"{cri_archive.UNITS_IN}/{name}" for name in cri_archive.UNITS),
    )
    return probe.Script(
        f"{own}\n{packages.shell(ASKED_FOR)}",
        files=("/etc/os-release",),
        kernel_files=(_IP_FORWARD,),
        units=(UNIT, *_CRI_UNITS),
        properties=("ExecStart", "ActiveState"),
        shared=(_SHARED,),
        programs=("uname",),
        at_times=("sha256sum",),
        answers=("dockerd", "cri_dockerd"),
    )


def script_daemon() -> probe.Script:
    """The script of the daemon probe."""
    own = host_script.read(
        __file__,
        "docker_daemon.sh",
        CONFIG=daemon_json.PATH,
        OPTIONS=" ".join(OPTIONS),
        ENGINE_SOCKET=ENGINE_SOCKET,
        PID_FILE=PID_FILE,
        CRI_SOCKET=cri_dockerd.SOCKET,
        CRI_SOCKET_UNITS=" ".join(cri_dockerd.SOCKETS.values()),
        CNI_UPSTREAM=cri_dockerd.DEFAULTS[cri_dockerd.CNI_BIN_DIR],
        CNI_CONF=cri_dockerd.DEFAULTS[cri_dockerd.CNI_CONF_DIR],
        LEFT_SUFFIXES=" ".join(LEFT_SUFFIXES),
        UNPROVEN_SUFFIX=UNPROVEN_SUFFIX,
    )
    return probe.Script(
        f"{_DATA_ROOT}\n{own}\n{cni_found.SCRIPT}",
        files=(daemon_json.PATH, *OPTIONS, *_DROP_INS),
        units=(UNIT, *_CRI_UNITS),
        properties=("ExecStart", "EnvironmentFiles", "MainPID", "Listen", _STARTED, *PROPERTIES),
        shared=(_SHARED, file_systems.ASK),
        answers=("engine", "cri_socket"),
    )


def _version(text: str | None) -> str | None:
    """The release in ``Docker version 26.1.5+dfsg1, build 411e817`` and the like."""
    found = re.search(r"\b\d{1,4}\.\d{1,4}\.\d{1,6}(?:-(?:alpha|beta|rc)[.\d]{0,8})?", text or "")
    return found[0] if found else None


def parse_package(reading: Reading, others: RuntimesShape) -> DockerPackageShape:
    """The shape of what is installed, from what the host sent."""
    found = packages.parse(reading, ASKED_FOR)
    units = {name: _unit(reading, name) for name in (UNIT, *_CRI_UNITS)}
    engine = units[UNIT]
    return {
        **_installed(reading, found),
        "packages": found["installed"],
        "cri_dockerd": reading.value("cri_dockerd") or None,
        "cri_dockerd_version": _version(reading.value("cri_version")),
        "cri_build": reading.value("cri_build") or None,
        "cri_dockerd_unit": any(
            units[unit] is not None and units[socket] is not None
            for unit, socket in cri_dockerd.SOCKETS.items()
        ),
        "engine_active": None
        if engine is not None and engine["load"] == "unknown"
        else engine is not None and engine["active"] not in ("inactive", "failed", ""),
        "change": reading.value("change"),
        "architecture": ARCHITECTURES.get(reading.value("machine") or ""),
        "os_release": os_release(reading),
        "licence": None
        if "licence_sum" in reading.unreadable
        else reading.value("licence_sum") or whole_file.NOTHING,
        "licence_is_private": re.match(
            r"-r--------\S? +\d+ +0 ", reading.value("licence_mode") or ""
        )
        is not None,
        "ip_forward": _ip_forward(reading),
        "runtimes": others,
    }


def _ip_forward(reading: Reading) -> bool | None:
    said = " ".join(reading.text(_IP_FORWARD)).strip()
    return {"0": False, "1": True}.get(said)


def _installed(reading: Reading, found: packages.PackagesShape) -> InstalledShape:
    own = [package for package in found["installed"] if is_engine(package["name"])]
    return {
        "binary": reading.value("dockerd") or None,
        "version": _version(reading.value("version")),
        "package": own[0] if own else None,
        "dpkg_interrupted": found["dpkg_interrupted"],
        "dpkg_at_work": found["dpkg_at_work"],
    }


def _unit(reading: Reading, name: str) -> UnitShape | None:
    key = f"unit:{name}"
    return parse_unit({} if key in reading.unreadable else reading.unit(name))


@dataclass(frozen=True)
class Daemon:
    """What the daemon probe found: the shape, and the files themselves."""

    shape: DockerShape
    file: bytes | None
    drop_in: bytes | None
    unreadable: list[str]
    unproven: list[UnprovenShape] | None


def parse_daemon(package: Reading, daemon: Reading, found_pods: Reading | None) -> Daemon:
    """The shape from what the host sent.

    + package, daemon: this module's probes
    + found_pods: the probe :data:`kubenode.facts.pods.PROBE`; None: it was not answered
    """
    found = packages.parse(package, ASKED_FOR)
    document, error = _document(daemon)
    words, lost = _flags(daemon)
    engine = _engine(daemon)
    cri = _cri_dockerd(package, daemon, found)
    unit = _unit(daemon, UNIT)
    active = unit is not None and unit["active"] == "active"
    stated, place = _stated_driver(document, words)
    keys = [member.key for member in document.members] if document else []
    path = daemon_json.PATH
    other = flags.stated(words or []).get(flags.CONFIG_FLAG)
    if other and other[-1] != path:
        error = error or f"docker.service has --config-file {other[-1]}, which is not read here"
    edition = _edition(engine, found["installed"])
    drop_in = cri_dockerd.drop_in_of(cri["service"])
    note = f"{path}{UNPROVEN_SUFFIX}"
    files = {name: daemon.exact[name] for name in (path, drop_in) if name in daemon.exact}
    unproven = None if note in daemon.unreadable else _unproven(daemon.exact.get(note), files)
    shape: DockerShape = {
        "installed": _installed(package, found),
        "config": {
            "path": path,
            "exists": None if daemon.is_unreadable(path) else path in daemon.exact,
            "version": None,
            "highest_version": None,
            "error": error or lost,
        },
        "effective": engine is not None,
        "handlers": {},
        "default_handler": engine["default_runtime"] if engine else None,
        "pause_image": cri_dockerd.flag(cri["words"], cri_dockerd.PAUSE_IMAGE),
        "left_by_packages": None
        if "left" not in daemon.texts
        else [name for name in daemon.text("left") if name],
        "data_root": _data_root(daemon),
        "cni": _cni(daemon, cri),
        "unit": unit,
        "socket": cri_dockerd.socket_of(cri["words"], _listens(daemon, cri["service"])),
        "cri": _cri(daemon, cri, engine),
        "restart_pending": _pending(daemon, cri) if active and "changed" in daemon.texts else None,
        "clock_set_back": [name for name in daemon.text("future") if name],
        "edition": edition,
        "packages": found["installed"],
        "asked": daemon.value("engine") or "unknown",
        "engine": engine,
        "stated": {
            member.key: {"value": json.dumps(member.value), "place": {"file": path, "line": line}}
            for member, line in (document.placed if document else ())
            # a mirror's address may have a password
            if member.key not in _SECRET and "@" not in json.dumps(member.value)
        },
        "stated_driver": stated,
        "driver_place": place,
        "unknown_keys": [key for key in keys if key not in flags.KNOWN],
        "in_both": flags.in_both(keys, words or []),
        "flags": words,
        "cri_dockerd": cri,
        "ip_forward": _ip_forward(package),
        "pods": _pods(found_pods),
        "unproven": [path] if unproven is None else [file["path"] for file in unproven],
    }
    return Daemon(
        shape,
        daemon.exact.get(path),
        daemon.exact.get(drop_in),
        sorted(name for name in (path, *OPTIONS, drop_in, note) if daemon.is_unreadable(name)),
        unproven,
    )


def parse(package: Reading, daemon: Reading, found_pods: Reading) -> DockerShape:
    """The shape from what the host sent."""
    return parse_daemon(package, daemon, found_pods).shape


def _pods(found: Reading | None) -> PodsShape | None:
    try:
        if found is None:
            return None
        counted = pods.parse(found)
    except ProbeError:
        return None
    return {
        "systemd": pods.at_most(counted, "docker", "systemd"),
        "cgroupfs": pods.at_most(counted, "docker", "cgroupfs"),
    }


def _document(daemon: Reading) -> tuple[daemon_json.Document | None, str | None]:
    path = daemon_json.PATH
    if daemon.is_unreadable(path):
        why = daemon.why_unreadable(path)
        return None, f"{path}: {why}" if why else f"{path} cannot be read"
    if path not in daemon.exact:
        return None, None
    try:
        return daemon_json.parse(path, daemon.exact[path]), None
    except ConfigError as error:
        return None, str(error)


def _flags(daemon: Reading) -> tuple[list[str] | None, str | None]:
    """The words of docker.service, and why they are not known."""
    try:
        start = (daemon.unit(UNIT) or {}).get("ExecStart", "")
        return flags.words_of(start, _environment_files(daemon)), None
    except (ProbeError, CannotTell) as error:
        return None, str(error)


def _environment_files(daemon: Reading) -> dict[str, str | None]:
    """Text of the files that docker.service takes variables from, by path; None: it is not read."""
    stated = (line.partition("=") for line in daemon.text(f"unit:{UNIT}"))
    paths = [value.rpartition(" (")[0] for name, _, value in stated if name == "EnvironmentFiles"]
    return {
        path: None
        if path not in OPTIONS or daemon.is_unreadable(path)
        else "\n".join(daemon.text(path))
        for path in paths
    }


def _stated_driver(
    document: daemon_json.Document | None, words: list[str] | None
) -> tuple[Driver | None, PlaceShape | None]:
    found: str | None = None
    place: PlaceShape | None = None
    if document is not None and document.driver is not None:
        found = document.driver
        place = {"file": document.path, "line": document.driver_line or 1}
    for option in flags.stated(words or []).get("exec-opts", ()):
        name, _, value = option.partition("=")
        if name.strip().lower() == daemon_json.DRIVER:
            found, place = value.strip(), None
    return (cast(Driver, found) if found in ("systemd", "cgroupfs") else None), place


def _json(daemon: Reading, key: str) -> dict[str, Any]:
    try:
        said = json.loads("\n".join(daemon.text(key)))
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _engine(daemon: Reading) -> EngineShape | None:
    info = _json(daemon, "engine_info")
    # the program prints what it cannot learn as errors beside an empty answer
    if not info.get("ServerVersion"):
        return None
    version = _json(daemon, "engine_version")
    server = version.get("Server", version)
    platform = server.get("Platform") if isinstance(server, dict) else None
    name = platform.get("Name") if isinstance(platform, dict) else None
    driver = info.get("CgroupDriver")
    swarm = info.get("Swarm")
    state = swarm.get("LocalNodeState") if isinstance(swarm, dict) else None
    running = info.get("ContainersRunning")
    return {
        "version": _version(str(info["ServerVersion"])[:60]),
        "platform": _text(name),
        "driver": driver if driver in ("systemd", "cgroupfs") else None,
        "cgroup_version": {"1": 1, "2": 2}.get(str(info.get("CgroupVersion"))),
        "storage_driver": _text(info.get("Driver")),
        "log_driver": _text(info.get("LoggingDriver")),
        "live_restore": info.get("LiveRestoreEnabled")
        if isinstance(info.get("LiveRestoreEnabled"), bool)
        else None,
        "containers_running": running
        if isinstance(running, int) and not isinstance(running, bool)
        else None,
        "default_runtime": _text(info.get("DefaultRuntime")),
        "swarm": None if state is None else state != "inactive",
    }


def _text(value: object) -> str | None:
    return value[:200] if isinstance(value, str) and value else None


def _edition(engine: EngineShape | None, installed: list[PackageShape]) -> Edition | None:
    names = {package["name"] for package in installed}
    platform = (engine["platform"] if engine else None) or ""
    if "docker-ee" in names or platform.startswith("Mirantis"):
        return "mcr"
    if "docker-ce" in names or platform == "Docker Engine - Community":
        return "docker"
    return "distribution" if any(map(is_engine, names)) else None


def _words(daemon: Reading, service: str) -> list[str]:
    try:
        return cri_dockerd.words_of((daemon.unit(service) or {}).get("ExecStart", ""))
    except ProbeError:
        return []


def _cri_dockerd(
    package: Reading, daemon: Reading, found: packages.PackagesShape
) -> CriDockerdShape:
    said = package.value("cri_unit")
    service = said if said in cri_dockerd.UNITS else cri_dockerd.UNITS[0]
    own = [each for each in found["installed"] if each["name"] == "cri-dockerd"]
    runs_with = [word for word in daemon.text("cri_arguments") if word]
    return {
        "binary": package.value("cri_dockerd") or None,
        "version": _version(package.value("cri_version")),
        "package": own[0] if own else None,
        "service": service,
        "unit": _unit(daemon, service),
        "socket_unit": _unit(daemon, cri_dockerd.SOCKETS[service]),
        "words": _words(daemon, service),
        "runs_with": runs_with or None,
        "older_than_engine": _is_older(daemon, service) if runs_with else None,
    }


def _is_older(daemon: Reading, service: str) -> bool | None:
    try:
        times = [(daemon.unit(name) or {}).get(_STARTED, "") for name in (service, UNIT)]
    except ProbeError:
        return None
    if not all(re.fullmatch(r"[1-9]\d{0,17}", time) for time in times):
        return None
    return int(times[0]) < int(times[1])


def _listens(daemon: Reading, service: str) -> list[str]:
    return [
        line.removeprefix("Listen=").rpartition(" (")[0]
        for line in daemon.text(f"unit:{cri_dockerd.SOCKETS[service]}")
        if line.startswith("Listen=/")
    ]


def _cri(
    daemon: Reading, cri: CriDockerdShape, engine: EngineShape | None
) -> Literal["serving", "disabled", "down", "unknown"]:
    unit = cri["unit"]
    if unit is not None and unit["load"] == "unknown":
        return "unknown"
    # its unit is of Type=notify: it is active once its server has started
    if unit is None or unit["active"] != "active" or daemon.value("cri_socket_there") != "yes":
        return "down"
    crictl = daemon.value("crictl")
    if crictl is not None:
        return "serving" if crictl == "0" else "down"
    if engine is None:
        return "down" if daemon.value("engine") == "down" else "unknown"
    return "serving"


def _pending(daemon: Reading, cri: CriDockerdShape) -> list[str]:
    changed = [name for name in daemon.text("changed") if name]
    unit, runs_with = cri["unit"], cri["runs_with"]
    if unit is not None and runs_with and cri["words"] and runs_with != cri["words"]:
        changed += unit["drop_ins"] or [unit["fragment"] or cri["service"]]
    return list(dict.fromkeys(changed))


def _cni(daemon: Reading, cri: CriDockerdShape) -> CniShape:
    words = cri["runs_with"] or cri["words"]
    if not words:
        return cni_found.parse(daemon, None, None)
    directories = cri_dockerd.in_force(words, cri_dockerd.CNI_BIN_DIR).split(",")
    return cni_found.parse(
        daemon,
        [path for path in directories if path],
        cri_dockerd.in_force(words, cri_dockerd.CNI_CONF_DIR),
        # cri-dockerd calls it for each pod
        has_loopback=False,
    )


def _data_root(daemon: Reading) -> DataRootShape:
    path = daemon.value("data_root")
    shape: DataRootShape = {"path": path, "file_system": None, "error": None}
    if path is None:
        shape["error"] = "Docker Engine does not say where it keeps images"
        return shape
    mounted = mounts.mounted(daemon, "mounts_above") or {}
    shape["file_system"] = file_systems.parse(daemon, [path], mounted).get(path)
    if shape["file_system"] is None:
        shape["error"] = f"{path}: it cannot be told where that is"
    return shape


def _unproven(note: bytes | None, files: dict[str, bytes]) -> list[UnprovenShape] | None:
    if note is None:
        return []
    noted = read_note(note)
    if noted is None:
        return None
    found: list[UnprovenShape] = []
    for file in noted:
        now = whole_file.sum_of(files.get(file.path))
        state: Literal["new", "old", "edited"] = "edited"
        if now == file.new:
            state = "new"
        elif now == file.old:
            state = "old"
        found.append({"path": file.path, "now": state})
    return found


def _daemon_of(readings: Readings) -> Daemon:
    return parse_daemon(readings[PACKAGE_PROBE], readings[DAEMON_PROBE], readings.get(pods.PROBE))


class DockerPackage(ProbeFact[DockerPackageShape]):
    """
    Returns what is installed of Docker Engine and cri-dockerd, and which other runtimes the host
    has (:class:`DockerPackageShape`).

    .. code:: python

        {
            "binary": "/usr/sbin/dockerd",
            "version": "26.1.5",
            "package": {
                "name": "docker.io",
                "version": "26.1.5+dfsg1-9+deb13u1",
                "held": True,
                "configured": True,
            },
            "dpkg_interrupted": False,
            "dpkg_at_work": None,
            "packages": [{"name": "docker.io", ...}, {"name": "docker-cli", ...}],
            "cri_dockerd": "/usr/bin/cri-dockerd",
            "cri_dockerd_version": "0.4.3",
            "cri_build": None,
            "cri_dockerd_unit": True,
            "engine_active": True,
            "change": None,
            "architecture": "amd64",
            "os_release": {"ID": "debian", "VERSION_CODENAME": "trixie", ...},
            "licence": "-",
            "licence_is_private": False,
            "ip_forward": True,
            "runtimes": {"programs": ["containerd", "cri-dockerd", "dockerd"], ...},
        }

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.docker.DockerPackage
    """

    def command(self) -> str:
        return self.asking({PACKAGE_PROBE: script_package(), runtimes.PROBE: runtimes.script()})

    def parse(self, readings: Readings) -> DockerPackageShape:
        return parse_package(readings[PACKAGE_PROBE], runtimes.parse(readings))


class Docker(ProbeFact[DockerServiceShape]):
    """
    Returns what Docker Engine and cri-dockerd are, how they are configured, what they do, and which
    other runtimes the host has (:class:`DockerServiceShape`).

    .. code:: python

        {
            "installed": {"binary": "/usr/sbin/dockerd", "version": "26.1.5", ...},
            "config": {"path": "/etc/docker/daemon.json", "exists": True, "error": None, ...},
            "effective": True,
            "handlers": {},
            "default_handler": "runc",
            "pause_image": "registry.k8s.io/pause:3.10",
            "left_by_packages": [],
            "data_root": {"path": "/var/lib/docker", "file_system": {...}, "error": None},
            "cni": {"bin_dirs": ["/opt/cni/bin"], "conf_dir": "/etc/cni/net.d", ...},
            "unit": {"load": "loaded", "active": "active", "enabled": "enabled", ...},
            "socket": "/run/cri-dockerd.sock",
            "cri": "serving",
            "restart_pending": [],
            "clock_set_back": [],
            "edition": "distribution",
            "packages": [{"name": "docker.io", ...}],
            "asked": "asked",
            "engine": {
                "version": "26.1.5",
                "platform": None,
                "driver": "systemd",
                "cgroup_version": 2,
                "storage_driver": "overlay2",
                "log_driver": "json-file",
                "live_restore": True,
                "containers_running": 12,
                "default_runtime": "runc",
                "swarm": False,
            },
            "stated": {
                "live-restore": {
                    "value": "true",
                    "place": {"file": "/etc/docker/daemon.json", "line": 5},
                },
            },
            "stated_driver": "systemd",
            "driver_place": {"file": "/etc/docker/daemon.json", "line": 3},
            "unknown_keys": [],
            "in_both": [],
            "flags": ["-H", "fd://", "--containerd=/run/containerd/containerd.sock"],
            "cri_dockerd": {
                "binary": "/usr/bin/cri-dockerd",
                "version": "0.4.3",
                "package": None,
                "service": "cri-docker.service",
                "unit": {"load": "loaded", "active": "active", ...},
                "socket_unit": {"load": "loaded", "active": "active", ...},
                "words": ["/usr/bin/cri-dockerd", "--container-runtime-endpoint", "fd://"],
                "runs_with": ["/usr/bin/cri-dockerd", "--container-runtime-endpoint", "fd://"],
                "older_than_engine": False,
            },
            "ip_forward": True,
            "pods": {"systemd": 12, "cgroupfs": 0},
            "unproven": [],
            "runtimes": {"programs": ["containerd", "cri-dockerd", "dockerd"], ...},
        }

    ``engine`` is what the engine that runs says (``docker info``, or its API by curl);
    ``stated`` is what daemon.json says, and the two differ where it was edited and not restarted.
    Neither the engine nor cri-dockerd is asked where it does not run: systemd would start it.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.docker.Docker
    """

    def command(self) -> str:
        return self.asking(
            {
                PACKAGE_PROBE: script_package(),
                DAEMON_PROBE: script_daemon(),
                pods.PROBE: pods.script(),
                runtimes.PROBE: runtimes.script(),
            }
        )

    def parse(self, readings: Readings) -> DockerServiceShape:
        shape = _daemon_of(readings).shape
        return {**shape, "runtimes": runtimes.parse(readings)}


class DockerFiles(ProbeFact[DockerFilesShape]):
    """
    Returns what :class:`Docker` does, and the content of its files (:class:`DockerFilesShape`).

    .. code:: python

        {
            "docker": {"effective": True, ...},
            "runtimes": {"programs": ["containerd", "cri-dockerd", "dockerd"], ...},
            "file": "{}\\n",
            "drop_in": None,
            "unreadable": [],
            "unproven": [],
        }

    What an operation needs to edit them; it may hold proxies' passwords.

    **Example:**

    .. code:: python

        content = host.get_fact(DockerFiles)["file"]
    """

    def command(self) -> str:
        return self.asking(
            {
                PACKAGE_PROBE: script_package(),
                DAEMON_PROBE: script_daemon(),
                pods.PROBE: pods.script(),
                runtimes.PROBE: runtimes.script(),
            }
        )

    def parse(self, readings: Readings) -> DockerFilesShape:
        found = _daemon_of(readings)
        return {
            "docker": found.shape,
            "runtimes": runtimes.parse(readings),
            "file": None if found.file is None else text_of(found.file),
            "drop_in": None if found.drop_in is None else text_of(found.drop_in),
            "unreadable": found.unreadable,
            "unproven": found.unproven,
        }
