"""CRI-O: what is installed, what its files say, and what the daemon has in force."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from packaging.version import Version

from kubenode.facts import cni_found, file_systems, mounts, packages, pods, runtimes
from kubenode.facts.pods import DriversShape
from kubenode.facts.runtime import (
    LEFT_SUFFIXES,
    CniShape,
    DataRootShape,
    HandlerShape,
    InstalledShape,
    RuntimeShape,
)
from kubenode.files.exact_text import is_utf8, text_of
from kubenode.files.toml_text import Path
from kubenode.linux.cgroups import Driver
from kubenode.linux.place import PlaceShape
from kubenode.linux.unit import PROPERTIES, parse_unit
from kubenode.run import host_script
from kubenode.runtimes import cni, program_change
from kubenode.runtimes.config_swap import UNPROVEN_SUFFIX
from kubenode.runtimes.crio import config as crio
from kubenode.runtimes.crio import own_file, plan, registries, releases
from kubenode.runtimes.crio.config import CrioConfig
from kubenode.runtimes.edit import ConfigError
from kubenode.runtimes.other_runtimes import RuntimesShape
from kubenode.runtimes.runtime import CRIO
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PACKAGE_PROBE = "crio-package"
PROBE = "crio"

(UNIT,) = CRIO.units
SOCKET = CRIO.socket
ENVIRONMENT_FILES = ("/etc/default/crio", "/etc/sysconfig/crio")
"""What the unit of a package reads: options for the daemon's command line."""

_PACKAGES = tuple(name for names in CRIO.packages.values() for name in names)
_MOST_FILES = 64
_MOST_BYTES = 256 * 1024

_FLAG = re.compile(
    r"(?:^|[\s\"'=])(--?(?:config|c|config-dir|d|cgroup-manager|conmon-cgroup|default-runtime"
    r"|runtimes|pause-image|signature-policy|listen|root|r|cni-config-dir|cni-plugin-dir))"
    r"(?=[=\s\"']|$)"
)
_VARIABLE = re.compile(
    r"\b(CONTAINER_(?:CONFIG|CONFIG_DIR|CGROUP_MANAGER|CONMON_CGROUP|DEFAULT_RUNTIME|RUNTIMES"
    r"|PAUSE_IMAGE|SIGNATURE_POLICY|LISTEN|ROOT|CNI_CONFIG_DIR|CNI_PLUGIN_DIR))="
)


class SettingShape(TypedDict):
    """A setting, and the line that states it."""

    value: str
    file: str
    line: int | None


class PendingShape(TypedDict):
    """A setting of which the daemon has not what its files say."""

    setting: str
    """Such as ``crio.runtime.cgroup_manager``."""
    stated: str
    file: str
    line: int | None
    in_force: str
    applied_by: Literal["restart", "reload"]


class PolicyShape(TypedDict):
    """The policy for images' signatures, without which nothing can be pulled."""

    path: str
    exists: bool | None
    """None: that is not known."""


class CrioShape(RuntimeShape):
    """What CRI-O is, how it is configured and what it does.

    ``effective`` is whether the settings are those that the daemon says it has in force, by its
    socket; otherwise they are what the files say, and the release's defaults.
    """

    files: list[str]
    """CRI-O's files in the order in which it reads them."""
    strays: list[str]
    """Those whose name does not end in ``.conf``: copies that somebody left, and CRI-O reads."""
    cgroup_driver: Driver | None
    """The one in force, else the one that a start would bring; None: it cannot be told."""
    cgroup_driver_stated: PlaceShape | None
    """The line of a file that states it; None: it is the default."""
    after_restart: Driver | None
    """The driver that a restart would bring; None: it cannot be told."""
    monitor_cgroups: dict[str, SettingShape]
    """Where each handler's monitors run, of the handlers of which a file says it."""
    pending: list[PendingShape] | None
    """What was edited and is not in force; None: the daemon does not say what is."""
    signature_policy: PolicyShape
    insecure_registries: PlaceShape | None
    """The line that states ``insecure_registries``, which CRI-O ignores from 1.35 on."""
    flags: list[str]
    """What the daemon is given beside its files and wins over them: ``FILE: --cgroup-manager``."""
    own_link: str | None
    """Where kubenode's link in crio.conf.d leads; None: there is none."""
    pods: DriversShape | None
    """Running containers by the driver that placed them; None: that is not known."""
    change: str | None
    """A change of the program that was interrupted: ``cri-o 1.35.6-1.1 -> 1.36.3-1.1``."""


class CrioServiceShape(CrioShape):
    """What :class:`Crio` returns."""

    runtimes: RuntimesShape


class CrioFilesShape(TypedDict):
    """What :class:`CrioFiles` returns."""

    crio: CrioShape
    runtimes: RuntimesShape
    contents: dict[str, str]
    """Exact content of its files and of kubenode's own, that of registries too, by path; bytes that
    are no UTF-8 as lone surrogates (PEP 383)."""
    unreadable: list[str]
    """Files of these that exist and could not be read."""
    unproven: bool
    """Whether a change of them was interrupted before CRI had answered with it."""
    registries_unproven: bool
    """Whether a change of the file of registries was interrupted before CRI-O had taken it."""


_SCRIPT = "\n".join(
    (
        host_script.read(__file__, "data_root.sh"),
        host_script.read(
            __file__,
            "crio.sh",
            MAIN=crio.MAIN,
            DROP_INS=crio.DROP_INS,
            LINK=own_file.LINK,
            FILE=own_file.FILE,
            SOCKET=SOCKET,
            MOST_FILES=_MOST_FILES,
            DEFAULT_ROOT=releases.DEFAULT_ROOT,
            NETWORK_DIR=releases.DEFAULT_NETWORK_DIR,
            POLICY=releases.DEFAULT_SIGNATURE_POLICY,
            LEFT_SUFFIXES=" ".join(LEFT_SUFFIXES),
            CHANGE=program_change.DIRECTORY,
        ),
        cni_found.SCRIPT,
    )
)
_NOTE = f"{own_file.FILE}{UNPROVEN_SUFFIX}"
_REGISTRIES = (registries.FILE, registries.NOTE)


def script_package() -> probe.Script:
    """The script of the package probe."""
    return probe.Script(packages.shell(_PACKAGES))


def script() -> probe.Script:
    """The script of the CRI-O probe."""
    return probe.Script(
        _SCRIPT,
        files=(crio.MAIN, own_file.FILE, _NOTE, *_REGISTRIES, *ENVIRONMENT_FILES),
        units=(UNIT,),
        properties=("ExecStart", "MainPID", "Environment", *PROPERTIES),
        shared=(file_systems.ASK,),
        answers=("binary", "version", "socket_state"),
    )


@dataclass(frozen=True)
class Found:
    """What the probes found: the shape, and the files themselves."""

    shape: CrioShape
    contents: dict[str, bytes]
    unreadable: list[str]
    is_unproven: bool
    are_registries_unproven: bool


def parse(package: Reading, reading: Reading, containers: Reading) -> Found:
    """The shape from what the host sent.

    + package: the probe :data:`PACKAGE_PROBE`
    + reading: the probe :data:`PROBE`
    + containers: the probe :data:`kubenode.facts.pods.PROBE`
    """
    installed = _installed(package, reading)
    version = Version(installed["version"]) if installed["version"] else None
    contents, unreadable = _contents(reading)
    stated, error = _stated(contents, unreadable, reading)
    live = _live(reading)
    release = releases.release_of(version)
    effective = live or stated or CrioConfig()
    unit = parse_unit({} if reading.is_unreadable(f"unit:{UNIT}") else reading.unit(UNIT))
    is_active = unit is not None and unit["active"] == "active"
    pending = _pending(stated, live)
    driver = _driver(live, None) or (_driver(stated, "systemd") if stated else None)
    paths = crio.order(path for path in contents if path not in _BESIDE)
    shape: CrioShape = {
        "installed": installed,
        "config": {
            "path": crio.MAIN,
            "exists": None if crio.MAIN in reading.unreadable else crio.MAIN in contents,
            "version": None,
            "highest_version": None,
            "error": error,
        },
        "effective": live is not None,
        "handlers": _handlers(effective, stated, driver, release),
        "default_handler": effective.value(crio.DEFAULT_RUNTIME) or release.default_runtime,
        "pause_image": effective.value(crio.PAUSE_IMAGE) or release.pause_image,
        "left_by_packages": [name for name in reading.text("left") if name]
        if "left" in reading.texts
        else None,
        "data_root": _data_root(reading, effective),
        "cni": _cni(reading, effective, live is not None),
        "unit": unit,
        "socket": SOCKET,
        "cri": _cri(reading),
        "restart_pending": _restart_pending(reading, pending) if is_active else None,
        "clock_set_back": [name for name in reading.text("future") if name],
        "files": paths,
        "strays": [path for path in paths if not path.endswith(".conf")],
        "cgroup_driver": driver,
        "cgroup_driver_stated": _place_of(stated, crio.CGROUP_MANAGER),
        "after_restart": _driver(stated, "systemd") if stated else None,
        "monitor_cgroups": _monitor_cgroups(stated),
        "pending": pending,
        "signature_policy": _policy(reading, effective),
        "insecure_registries": _place_of(stated, _INSECURE),
        "flags": _flags(reading),
        "own_link": reading.value("link"),
        "pods": pods.parse(containers)["runtimes"].get(CRIO.name, {"systemd": 0, "cgroupfs": 0}),
        "change": reading.value("change"),
    }
    noted = [note in reading.exact for note in (_NOTE, registries.NOTE)]
    return Found(shape, contents, unreadable, *noted)


def parse_shape(package: Reading, reading: Reading, containers: Reading) -> CrioShape:
    """The shape alone, see :func:`parse`."""
    return parse(package, reading, containers).shape


_INSECURE = ("crio", "image", "insecure_registries")
_BESIDE = (own_file.FILE, _NOTE, *_REGISTRIES, *ENVIRONMENT_FILES)


def _installed(package: Reading, reading: Reading) -> InstalledShape:
    found = packages.parse(package, _PACKAGES)
    version = releases.parse_version(reading.value("version") or "")
    return {
        "binary": reading.value("binary") or None,
        "version": str(version) if version else None,
        "package": found["installed"][0] if found["installed"] else None,
        "dpkg_interrupted": found["dpkg_interrupted"],
        "dpkg_at_work": found["dpkg_at_work"],
    }


def _contents(reading: Reading) -> tuple[dict[str, bytes], list[str]]:
    own = [crio.MAIN, own_file.FILE, registries.FILE]
    names = [*own, *(name for name in reading.text("configured") if name)]
    contents = {name: reading.exact[name] for name in names if name in reading.exact}
    unreadable = {
        path
        for path in reading.unreadable
        if path in (*names, crio.DROP_INS, _NOTE, registries.NOTE, *ENVIRONMENT_FILES)
        or path.startswith(f"{crio.DROP_INS}/")
    }
    # a link that leads nowhere is empty text
    unreadable |= {name for name in names[len(own) :] if name not in contents}
    if sum(map(len, contents.values())) > _MOST_BYTES:
        unreadable.add(crio.DROP_INS)
        contents = {}
    return contents, sorted(unreadable)


def _stated(
    contents: Mapping[str, bytes], unreadable: list[str], reading: Reading
) -> tuple[CrioConfig | None, str | None]:
    """What the files say together, and why that cannot be told."""
    for path in unreadable:
        if path in _REGISTRIES:
            continue
        return None, f"{path}: {reading.why_unreadable(path) or 'cannot be read'}"
    texts = []
    for path in crio.order(path for path in contents if path not in _BESIDE):
        text = text_of(contents[path])
        if not is_utf8(text):
            return None, f"{path}: is not UTF-8"
        texts.append((path, text))
    try:
        return crio.merged(texts), None
    except ConfigError as error:
        return None, str(error)


def _live(reading: Reading) -> CrioConfig | None:
    """What the daemon has in force; None when it does not say."""
    if "live" not in reading.texts:
        return None
    try:
        return crio.merged([("crio status config", "\n".join(reading.text("live")))])
    except ConfigError:
        return None


def _driver(config: CrioConfig | None, default: Driver | None) -> Driver | None:
    said = None if config is None else config.value(crio.CGROUP_MANAGER)
    if said is None:
        return default
    return "systemd" if said == "systemd" else "cgroupfs" if said == "cgroupfs" else None


def _place_of(config: CrioConfig | None, path: Path) -> PlaceShape | None:
    setting = None if config is None else config.get(path)
    return None if setting is None else setting.shape


def _handlers(
    effective: CrioConfig,
    stated: CrioConfig | None,
    driver: Driver | None,
    release: releases.Release,
) -> dict[str, HandlerShape]:
    names = dict.fromkeys([*effective.handlers, *([] if stated else [release.default_runtime])])
    handlers: dict[str, HandlerShape] = {}
    for name in names or {release.default_runtime: None}:
        kind = effective.handlers.get(name, {}).get("runtime_type")
        runtime_type = str(kind.value) if kind and kind.value else "oci"
        handlers[name] = {
            "runtime_type": runtime_type,
            "recognised": True,
            # a virtual machine's runtime has settings of its own
            "cgroup_driver": None if runtime_type == "vm" else driver,
            "stated": _place_of(stated, crio.CGROUP_MANAGER),
            "defined": stated.defined[name].shape if stated and name in stated.defined else None,
        }
    return handlers


def _monitor_cgroups(stated: CrioConfig | None) -> dict[str, SettingShape]:
    if stated is None:
        return {}
    found: dict[str, SettingShape] = {}
    for name in stated.handlers:
        setting = stated.monitor_cgroup(name)
        if setting is not None:
            found[name] = {"value": str(setting.value), "file": setting.file, "line": setting.line}
    return found


def _pending(stated: CrioConfig | None, live: CrioConfig | None) -> list[PendingShape] | None:
    if stated is None or live is None:
        return None
    return [
        {
            "setting": ".".join(map(str, path)),
            "stated": _shown(setting.value),
            "file": setting.file,
            "line": setting.line,
            "in_force": _shown(value),
            "applied_by": "reload" if path in plan.RELOADED else "restart",
        }
        for path, (setting, value) in plan.overridden(stated, live).items()
    ]


def _shown(value: Any) -> str:
    return repr(value)[:200]


def _restart_pending(reading: Reading, pending: list[PendingShape] | None) -> list[str] | None:
    """Files that changed after the daemon started, and of which it has not all.

    Neither alone is enough: CRI-O changes some values that it is given (``ctr_stop_timeout``), and
    a reload makes no new socket.
    """
    if "changed" not in reading.texts:
        return None
    changed = {name for name in reading.text("changed") if name}
    if own_file.FILE in changed:
        changed.add(own_file.LINK)
    if pending is None:
        return sorted(changed)
    return sorted(changed & {each["file"] for each in pending})


def _cri(reading: Reading) -> Literal["serving", "disabled", "down", "unknown"]:
    state = reading.value("socket_state")
    if state in ("absent", "silent"):
        return "down"
    return "serving" if state == "answers" else "unknown"


def _policy(reading: Reading, effective: CrioConfig) -> PolicyShape:
    path = effective.value(crio.SIGNATURE_POLICY) or releases.DEFAULT_SIGNATURE_POLICY
    said = reading.value(f"policy:{path}")
    return {"path": path, "exists": None if said is None else said == "yes"}


def _flags(reading: Reading) -> list[str]:
    """What wins over the files: options of the unit, and of the files that it reads."""
    found: dict[str, None] = {}
    sources = {path: reading.text(path) for path in ENVIRONMENT_FILES}
    sources[UNIT] = [
        line
        for line in reading.text(f"unit:{UNIT}")
        if line.startswith(("ExecStart=", "Environment="))
    ]
    sources["the running crio"] = [" ".join(reading.text("command_line"))]
    for source, lines in sources.items():
        for line in lines:
            if line.lstrip().startswith("#"):
                continue
            names = [*_FLAG.findall(line), *_VARIABLE.findall(line)]
            for name in names:
                found.setdefault(f"{source}: {name}")
    return list(found)


def _cni(reading: Reading, effective: CrioConfig, is_live: bool) -> CniShape:
    path = reading.value("cni_conf")
    stated = effective.value(crio.PLUGIN_DIRS)
    directories = list(releases.DEFAULT_PLUGIN_DIRS) if stated is None else list(stated)
    # CRI-O writes its default with a slash behind it
    directories = list(dict.fromkeys(name.rstrip("/") or "/" for name in directories))
    conf_dir = effective.value(crio.NETWORK_DIR) or releases.DEFAULT_NETWORK_DIR
    shape: CniShape = {
        "bin_dirs": directories,
        "conf_dir": conf_dir.rstrip("/") or "/",
        "config": path,
        "error": None,
        "plugins": [],
        "found": {
            key.removeprefix("cni:").rstrip("/"): [name for name in reading.text(key) if name][:200]
            for key in sorted(reading.texts)
            if key.startswith("cni:/")
        },
    }
    closed = [name for name in directories if f"cni:{name}" in reading.unreadable]
    if "cni_conf" in reading.unreadable or path in reading.unreadable:
        closed.append(path or conf_dir)
    if closed:
        shape["error"] = f"{', '.join(closed)}: cannot be read"
    elif path is not None:
        content = reading.exact.get(path, b"").decode("utf-8", "replace")
        try:
            # CRI-O calls loopback for each pod
            shape["plugins"] = list(dict.fromkeys([*cni.plugins_of(content), "loopback"]))
        except ValueError as error:
            shape["error"] = f"{path} {error}"
    return shape


def _data_root(reading: Reading, effective: CrioConfig) -> DataRootShape:
    path = effective.value(crio.ROOT) or releases.DEFAULT_ROOT
    shape: DataRootShape = {"path": path, "file_system": None, "error": None}
    if path == releases.DEFAULT_ROOT:
        return shape
    mounted = mounts.mounted(reading, "mounts_above") or {}
    if path == reading.value("data_root") and path not in reading.unreadable:
        shape["file_system"] = file_systems.parse(reading, [path], mounted).get(path)
    if shape["file_system"] is None:
        why = reading.why_unreadable(path) or "it cannot be told where that is"
        shape["error"] = f"{path}: {why}"
    return shape


def bridge_of(config: str | None) -> bool:
    """Whether a network's configuration is the bridge that CRI-O's own packages had switched on.

    + config: path of the file that counts
    """
    name = posixpath.basename(config or "")
    return bool(re.fullmatch(r"(?:10|11|100|200)-crio-[a-z0-9-]*bridge\.conf(?:list)?", name))


class Crio(ProbeFact[CrioServiceShape]):
    """
    Returns what CRI-O is, how it is configured and what it does (:class:`CrioServiceShape`).

    .. code:: python

        {
            "installed": {"binary": "/usr/bin/crio", "version": "1.36.3", ...},
            "config": {"path": "/etc/crio/crio.conf", "exists": False, "error": None, ...},
            "effective": True,
            "handlers": {
                "crun": {
                    "runtime_type": "oci",
                    "recognised": True,
                    "cgroup_driver": "systemd",
                    "stated": {"file": "/etc/crio/crio.conf.d/99-kubenode.conf", "line": 5},
                    "defined": {"file": "/etc/crio/crio.conf.d/10-crio.conf", "line": 7},
                },
            },
            "default_handler": "crun",
            "pause_image": "registry.k8s.io/pause:3.10.1",
            "left_by_packages": [],
            "data_root": {"path": "/var/lib/containers/storage", ...},
            "cni": {"bin_dirs": ["/opt/cni/bin", "/usr/lib/cni"], ...},
            "unit": {"load": "loaded", "active": "active", "enabled": "enabled", ...},
            "socket": "/run/crio/crio.sock",
            "cri": "serving",
            "restart_pending": [],
            "clock_set_back": [],
            "files": ["/etc/crio/crio.conf.d/10-crio.conf"],
            "strays": [],
            "cgroup_driver": "systemd",
            "cgroup_driver_stated": {"file": "/etc/crio/crio.conf.d/99-kubenode.conf", "line": 5},
            "after_restart": "systemd",
            "monitor_cgroups": {},
            "pending": [],
            "signature_policy": {"path": "/etc/crio/policy.json", "exists": True},
            "insecure_registries": None,
            "flags": [],
            "own_link": "../kubenode.conf",
            "pods": {"systemd": 12, "cgroupfs": 0},
            "change": None,
            "runtimes": {"programs": ["crio"], ...},
        }

    Settings are those that the daemon says it has in force (``crio status config``); where it does
    not run, what its files say. ``pending`` names what was edited and is not in force, with file
    and line, and whether a reload or a restart brings it.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.crio.Crio
    """

    def command(self) -> str:
        return self.asking(scripts())

    def parse(self, readings: Readings) -> CrioServiceShape:
        found = parse(readings[PACKAGE_PROBE], readings[PROBE], readings[pods.PROBE])
        return {**found.shape, "runtimes": runtimes.parse(readings)}


class CrioFiles(ProbeFact[CrioFilesShape]):
    """
    Returns what :class:`Crio` does, and the content of its files (:class:`CrioFilesShape`).

    .. code:: python

        {
            "crio": {"effective": True, ...},
            "runtimes": {"programs": ["crio"], ...},
            "contents": {"/etc/crio/crio.conf.d/10-crio.conf": "[crio.image]\\n..."},
            "unreadable": [],
            "unproven": False,
            "registries_unproven": False,
        }

    What an operation needs to edit them.

    **Example:**

    .. code:: python

        contents = host.get_fact(CrioFiles)["contents"]
    """

    def command(self) -> str:
        return self.asking(scripts())

    def parse(self, readings: Readings) -> CrioFilesShape:
        found = parse(readings[PACKAGE_PROBE], readings[PROBE], readings[pods.PROBE])
        return {
            "crio": found.shape,
            "runtimes": runtimes.parse(readings),
            "contents": {path: text_of(content) for path, content in found.contents.items()},
            "unreadable": found.unreadable,
            "unproven": found.is_unproven,
            "registries_unproven": found.are_registries_unproven,
        }


def scripts() -> dict[str, probe.Script]:
    """What both facts ask for, by probe."""
    return {
        PACKAGE_PROBE: script_package(),
        PROBE: script(),
        pods.PROBE: pods.script(),
        runtimes.PROBE: runtimes.script(),
    }
