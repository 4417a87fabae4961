"""Control groups: which version a host runs, and which driver each component uses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, TypedDict

from packaging.version import InvalidVersion, Version

from kubenode.facts import containerd, kubelet, kubelet_start, mounts, sent_files
from kubenode.facts.crio import CrioShape
from kubenode.facts.runtime import HandlerShape
from kubenode.files.cannot_tell import CannotTell
from kubenode.kubelet.config import kubelet_driver, runtime_endpoint
from kubenode.linux.cgroups import Driver, Statement
from kubenode.linux.place import PlaceShape
from kubenode.run import host_script
from kubenode.runtimes.containerd.handlers import unrecognised
from kubenode.runtimes.crio.config import crio_driver
from kubenode.runtimes.docker.config import docker_driver
from kubenode.runtimes.runtime import CONTAINERD, of_endpoint, path_of
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

CGROUPS_PROBE = "cgroups"
DRIVERS_PROBE = "cgroup-drivers"

DOCKER_CONFIG = "/etc/docker/daemon.json"
CRIO_CONFIG = "/etc/crio/crio.conf"
CRIO_DROP_INS = "/etc/crio/crio.conf.d"

_CONTROLLERS = "/sys/fs/cgroup/cgroup.controllers"
_ENABLED = "/sys/fs/cgroup/cgroup.subtree_control"
_INIT = "/proc/1/comm"

Mode = Literal["v1", "v2", "hybrid", "none", "unknown"]


class SystemdShape(TypedDict):
    """The systemd part of :class:`CgroupsShape`."""

    running: bool
    """Whether systemd is PID 1 (sd_booted(3): ``/run/systemd/system`` exists)."""
    version: int | None
    """Major version, such as 252; None when ``systemctl`` is not there or does not say."""


class CgroupsShape(TypedDict):
    """What :class:`Cgroups` returns."""

    mode: Mode
    """``v2`` (cgroup2 at ``/sys/fs/cgroup``), ``v1``, ``hybrid`` (v1 with a cgroup2 tree without
    controllers at ``/sys/fs/cgroup/unified``), ``none`` (nothing mounted), ``unknown``."""
    controllers: list[str]
    """Controllers the root of the tree has."""
    enabled: list[str]
    """v2: those the root hands down (``cgroup.subtree_control``); v1: those with a hierarchy
    mounted under ``/sys/fs/cgroup``. devices and freezer are implicit in v2 and not listed."""
    init: str | None
    """Name of the process with PID 1."""
    systemd: SystemdShape
    container: str | None
    """What kind of container the host itself is (``docker``, ``lxc``, ...), None for none seen."""


def script_cgroups() -> probe.Script:
    """The script of the cgroups probe."""
    # systemd writes /run/systemd/container, and takes it from the same variable
    return probe.Script(
        host_script.read(__file__, "cgroups.sh"),
        files=("/run/systemd/container",),
        kernel_files=(_CONTROLLERS, _ENABLED, _INIT),
        shared=(mounts.READ,),
        answers=("systemd", "mounts"),
    )


def parse_cgroups(reading: Reading) -> CgroupsShape:
    """The shape from what the host sent."""
    mode, mounted = _hierarchies(reading)
    version = re.match(r"systemd (\d{1,5})\b", reading.value("systemd") or "")
    if mode == "v2":
        controllers = _words(reading.text(_CONTROLLERS))
        enabled = _words(reading.text(_ENABLED))
    else:
        controllers = enabled = mounted
    container = [
        *_words(reading.text("/run/systemd/container")),
        *_words(reading.text("environ")),
        *filter(None, [reading.value("marker")]),
    ]
    return {
        "mode": mode,
        "controllers": controllers,
        "enabled": enabled,
        "init": " ".join(reading.text(_INIT)) or None,
        "systemd": {
            "running": reading.value("systemd_running") == "yes",
            "version": int(version[1]) if version else None,
        },
        "container": container[0] if container else None,
    }


def _hierarchies(reading: Reading) -> tuple[Mode, list[str]]:
    """The mode, and the v1 controllers that have a hierarchy."""
    mounted = mounts.mounted(reading)
    if mounted is None:
        return "unknown", []
    root_type = mounted.get("/sys/fs/cgroup", ("", []))[0]
    if root_type == "cgroup2":
        return "v2", []
    known = {
        "blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "hugetlb", "memory", "misc",
        "net_cls", "net_prio", "perf_event", "pids", "rdma",
    }  # fmt: skip
    controllers = sorted(
        {option for kind, options in mounted.values() if kind == "cgroup" for option in options}
        & known
    )
    if not controllers:
        return "none", []
    hybrid = mounted.get("/sys/fs/cgroup/unified", ("", []))[0] == "cgroup2"
    return ("hybrid" if hybrid else "v1"), controllers


def _words(lines: list[str]) -> list[str]:
    return " ".join(lines).split()


class Cgroups(ProbeFact[CgroupsShape]):
    """
    Returns the host's cgroup version, controllers and init (:class:`CgroupsShape`).

    .. code:: python

        {
            "mode": "v2",
            "controllers": ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"],
            "enabled": ["cpuset", "cpu", "io", "memory", "pids"],
            "init": "systemd",
            "systemd": {"running": True, "version": 257},
            "container": None,
        }

    A host that is itself a container shows its own view: what is mounted at ``/sys/fs/cgroup``
    there, not what the machine around it uses.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.cgroup.Cgroups
    """

    def command(self) -> str:
        return self.asking({CGROUPS_PROBE: script_cgroups()})

    def parse(self, readings: Readings) -> CgroupsShape:
        return parse_cgroups(readings[CGROUPS_PROBE])


class ComponentShape(TypedDict):
    """One component's cgroup driver."""

    driver: Driver | None
    """None: it cannot be told."""
    stated: bool
    """Whether a file or a flag states it; otherwise it is a default."""
    file: str | None
    line: int | None
    reason: str
    """What the driver follows from, or why it cannot be told."""


class CgroupDriversShape(TypedDict):
    """What :class:`CgroupDrivers` returns."""

    components: dict[str, ComponentShape]
    """By name: ``kubelet``, ``docker``, ``crio``, and ``containerd/HANDLER`` for each handler that
    is runc's, states a driver, or is not recognised; or ``containerd`` alone when its handlers
    cannot be told. A component that the host does not have is not listed, and neither is a handler
    with settings of its own (kata, runsc)."""
    counted: list[str]
    """Those that kubelet's pods meet: it, and the runtime that its endpoint leads to; all where
    no kubelet is configured yet."""
    agree: bool | None
    """Whether all of ``counted`` use one driver: False as soon as two differ. None when that of
    some cannot be told, and of nothing."""


_DRIVERS_SCRIPT = host_script.read(__file__, "cgroup_drivers.sh", CRIO_DROP_INS=CRIO_DROP_INS)


def script_drivers() -> probe.Script:
    """The script of the drivers probe, for Docker and CRI-O."""
    return probe.Script(
        _DRIVERS_SCRIPT,
        files=(DOCKER_CONFIG, CRIO_CONFIG),
        units=("docker.service",),
        properties=("ExecStart",),
    )


def parse_drivers(
    drivers: Reading,
    kubelets: Reading,
    runtime: containerd.ContainerdShape,
    cgroups: CgroupsShape,
    crio: CrioShape | None = None,
) -> CgroupDriversShape:
    """The shape from what the host sent and the facts it builds on.

    + drivers: this module's probe
    + kubelets: the probe :data:`kubenode.facts.kubelet.PROBE`
    + runtime: what containerd is
    + cgroups: what :class:`Cgroups` returns
    + crio: what CRI-O says of itself; None: its files alone count
    """
    components = _of_runtimes(drivers, runtime, cgroups)
    if crio is not None and crio["effective"] and "crio" in components:
        components["crio"] = _of_crio(crio)
    start = kubelet_start.parse(kubelets)
    is_configured = start.config in kubelets.texts or start.active is not False
    if not is_configured and start.error is None and "kubelet_version" not in kubelets.values:
        return _agreement(components, list(components))
    own = _of_kubelet(kubelets, start)
    try:
        # a flag counts whatever the files say
        endpoint = runtime_endpoint(start.flags, {})
        if endpoint is None:
            endpoint = runtime_endpoint(start.flags, kubelet.settings(kubelets, start))
    except CannotTell:
        components["kubelet"] = own
        return _agreement(components, list(components))
    asked: str | None
    if endpoint is not None:
        asked = _runtime_at(endpoint, runtime["socket"])
    elif is_configured:
        asked = _runtime_by_default(components, runtime)
    else:
        components["kubelet"] = own
        return _agreement(components, list(components))
    release = _version(kubelets.value("kubelet_version"))
    used = [name for name in components if name.partition("/")[0] == asked]
    is_there = "kubelet_version" in kubelets.values or kubelets.is_unreadable("kubelet_version")
    if (
        release is None
        and is_there
        and {components[name]["driver"] for name in used} != {own["driver"]}
    ):
        driver = _unknown("kubelet does not say its release: from 1.34 on it asks the runtime")
    else:
        driver = _answered(own, release, asked, components, drivers, runtime)
    components["kubelet"] = driver
    return _agreement(components, [*used, "kubelet"], is_known=bool(used) or endpoint is None)


def _of_runtimes(
    drivers: Reading, runtime: containerd.ContainerdShape, cgroups: CgroupsShape
) -> dict[str, ComponentShape]:
    """Those of containerd, Docker and CRI-O that the host has."""
    components: dict[str, ComponentShape] = {}
    if runtime["installed"]["binary"] and not runtime["effective"]:
        why = runtime["config"]["error"] or "containerd does not say what it makes of its files"
        components["containerd"] = _unknown(why)
    elif runtime["installed"]["binary"]:
        for name, handler in runtime["handlers"].items():
            if handler["cgroup_driver"] is not None:
                components[f"containerd/{name}"] = _of_handler(handler)
            elif not handler["recognised"]:
                why = unrecognised(handler["runtime_type"])
                components[f"containerd/{name}"] = _unknown(why, handler["defined"])
    if drivers.value("dockerd") or DOCKER_CONFIG in drivers.texts:
        default: Driver = "systemd" if _systemd_on_v2(cgroups) else "cgroupfs"
        components["docker"] = _component(
            lambda: docker_driver(
                sent_files.text(drivers, DOCKER_CONFIG),
                DOCKER_CONFIG,
                _docker_arguments(drivers),
            ),
            default,
            f"Docker's default on cgroup {cgroups['mode']}",
            sent_files.unreadable(drivers, DOCKER_CONFIG),
        )
    if drivers.value("crio") or CRIO_CONFIG in drivers.texts:
        components["crio"] = _component(
            lambda: crio_driver(sent_files.texts(drivers, [CRIO_CONFIG], CRIO_DROP_INS)),
            "systemd",
            "CRI-O's default",
            sent_files.unreadable(drivers, CRIO_CONFIG, CRIO_DROP_INS),
        )
    return components


def _agreement(
    components: dict[str, ComponentShape], counted: list[str], *, is_known: bool = True
) -> CgroupDriversShape:
    found = {components[name]["driver"] for name in counted}
    agree: bool | None = None
    if len(found - {None}) > 1:
        agree = False
    elif found and None not in found and is_known:
        agree = True
    return {"components": components, "counted": counted, "agree": agree}


def _of_crio(crio: CrioShape) -> ComponentShape:
    """CRI-O's driver that is in force, and the line that states it where that is the same."""
    driver, stated = crio["cgroup_driver"], crio["cgroup_driver_stated"]
    after = crio["after_restart"]
    if driver is None:
        return _unknown("CRI-O says that it has no driver that is known")
    is_stated = stated is not None and after == driver
    later = f"; {after} after a restart" if after not in (None, driver) else ""
    return {
        "driver": driver,
        "stated": is_stated,
        "file": stated["file"] if stated and is_stated else None,
        "line": stated["line"] if stated and is_stated else None,
        "reason": f"in force, as CRI-O says{later}",
    }


def _of_handler(
    handler: HandlerShape,
) -> ComponentShape:
    stated = handler["stated"]
    return {
        "driver": handler["cgroup_driver"],
        "stated": stated is not None,
        "file": stated["file"] if stated else None,
        "line": stated["line"] if stated else None,
        "reason": "SystemdCgroup of the runtime handler" if stated else "containerd's default",
    }


def _of_kubelet(reading: Reading, start: kubelet_start.Start) -> ComponentShape:
    """What kubelet's flags and files say, whatever a runtime may answer."""
    if start.error is not None:
        return _unknown(start.error)
    flag = start.flags.get("cgroup-driver")
    return _component(
        lambda: kubelet_driver(
            kubelet.files(reading, start),
            None if flag is None else flag.value,
            ("", None) if flag is None else (flag.source, sent_files.text(reading, flag.source)),
        ),
        "cgroupfs",
        "kubelet's default",
        kubelet.unreadable(reading, start),
    )


def _runtime_at(endpoint: str, containerd_socket: str) -> str | None:
    """Which runtime's components are behind a socket; None for one that is not known here."""
    if path_of(endpoint) == path_of(containerd_socket):
        return "containerd"
    row = of_endpoint(endpoint)
    # another containerd's socket is not this one's
    return None if row is None or row is CONTAINERD else row.name


def _runtime_by_default(
    components: dict[str, ComponentShape], runtime: containerd.ContainerdShape
) -> str | None:
    """Whom a kubelet uses that states no endpoint: containerd, or what is there instead of it."""
    if runtime["installed"]["binary"]:
        return "containerd"
    return next(iter(components)) if len(components) == 1 else None


def _answered(
    own: ComponentShape,
    version: Version | None,
    asked: str | None,
    components: dict[str, ComponentShape],
    drivers: Reading,
    runtime: containerd.ContainerdShape,
) -> ComponentShape:
    """kubelet's driver: from 1.34 on what the runtime answers, where it is one that answers.

    KubeletCgroupDriverFromCRI, GA in 1.34: the answer wins over kubelet's own configuration.
    containerd (from 2.0) answers with its default handler's driver, CRI-O from 1.28 on, cri-dockerd
    from 0.3.17 on with Docker's.
    """
    if version is None or version < Version("1.34") or asked is None:
        return own
    if asked == "containerd":
        name, oldest, stated = "containerd", "2.0", runtime["installed"]["version"]
        answer = components.get(f"containerd/{runtime['default_handler']}")
    else:
        name, oldest = ("CRI-O", "1.28") if asked == "crio" else ("cri-dockerd", "0.3.17")
        stated = drivers.value("version:crio" if asked == "crio" else "version:cri-dockerd")
        answer = components.get(asked)
    release = _version(stated)
    if release is None:
        if answer is not None and answer["driver"] == own["driver"]:
            return own
        return _unknown(f"kubelet {version} asks {name}, which does not say its version")
    if release < Version(oldest):
        return own
    if answer is None or answer["driver"] is None:
        return _unknown(f"kubelet {version} asks {name} {release}, whose driver cannot be told")
    against = f", not {own['file']}" if own["stated"] else ""
    return {
        "driver": answer["driver"],
        "stated": False,
        "file": None,
        "line": None,
        "reason": f"kubelet {version} asks {name} {release}{against}",
    }


def _version(text: str | None) -> Version | None:
    """The first release in what a program says of itself."""
    found = re.search(r"\d{1,4}\.\d{1,4}\.\d{1,6}(?:-[0-9A-Za-z.]+)?", text or "")
    try:
        return Version(found[0].partition("-")[0]) if found else None
    except InvalidVersion:
        return None


def _component(
    read: Callable[[], Statement | None], default: Driver, why: str, unreadable: str | None
) -> ComponentShape:
    if unreadable:
        return _unknown(f"cannot read {unreadable}")
    try:
        statement = read()
    except CannotTell as error:
        return _unknown(str(error))
    if statement is None:
        return {"driver": default, "stated": False, "file": None, "line": None, "reason": why}
    return {
        "driver": statement.driver,
        "stated": True,
        "file": statement.file,
        "line": statement.line,
        "reason": "stated",
    }


def _unknown(reason: str, place: PlaceShape | None = None) -> ComponentShape:
    return {
        "driver": None,
        "stated": False,
        "file": place["file"] if place else None,
        "line": place["line"] if place else None,
        "reason": reason,
    }


def _docker_arguments(drivers: Reading) -> str:
    start = (drivers.unit("docker.service") or {}).get("ExecStart", "")
    arguments, semicolon, _ = start.partition("argv[]=")[2].partition(";")
    return arguments if semicolon else ""


def _systemd_on_v2(cgroups: CgroupsShape) -> bool:
    return cgroups["mode"] == "v2" and cgroups["systemd"]["running"]


class CgroupDrivers(ProbeFact[CgroupDriversShape]):
    """
    Returns which cgroup driver containerd, Docker, CRI-O and kubelet use, where each is stated, and
    whether they agree (:class:`CgroupDriversShape`).

    .. code:: python

        {
            "components": {
                "containerd/runc": {
                    "driver": "systemd",
                    "stated": True,
                    "file": "/etc/containerd/config.toml",
                    "line": 15,
                    "reason": "SystemdCgroup of the runtime handler",
                },
                "kubelet": {
                    "driver": "cgroupfs",
                    "stated": False,
                    "file": None,
                    "line": None,
                    "reason": "kubelet's default",
                },
            },
            "counted": ["containerd/runc", "kubelet"],
            "agree": False,
        }

    One manager only: with systemd as PID 1 every component should use ``systemd``. A kubelet and a
    runtime that differ log no error; pods run, and their limits are applied to an empty slice.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.cgroup.CgroupDrivers
    """

    def command(self) -> str:
        return self.asking(
            {
                CGROUPS_PROBE: script_cgroups(),
                DRIVERS_PROBE: script_drivers(),
                kubelet.PROBE: kubelet.script(),
                containerd.PACKAGE_PROBE: containerd.script_package(),
                containerd.DAEMON_PROBE: containerd.script_daemon(),
            }
        )

    def parse(self, readings: Readings) -> CgroupDriversShape:
        return parse_drivers(
            readings[DRIVERS_PROBE],
            readings[kubelet.PROBE],
            containerd.parse_daemon(
                readings[containerd.PACKAGE_PROBE], readings[containerd.DAEMON_PROBE]
            ).shape,
            parse_cgroups(readings[CGROUPS_PROBE]),
        )
