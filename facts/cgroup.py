"""Control groups: which version a host runs, and which driver each component uses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, TypedDict

from packaging.version import InvalidVersion, Version

from kubenode import cgroup_drivers, probe
from kubenode.cgroup_drivers import CannotTell, Driver, Statement
from kubenode.containerd_release import release_of
from kubenode.facts import containerd, mounts
from kubenode.facts.probe_fact import ProbeFact

CGROUPS_PROBE = "cgroups"
DRIVERS_PROBE = "cgroup-drivers"

DOCKER_CONFIG = "/etc/docker/daemon.json"
CRIO_CONFIG = "/etc/crio/crio.conf"
CRIO_DROP_INS = "/etc/crio/crio.conf.d"
KUBELET_CONFIG = "/var/lib/kubelet/config.yaml"
KUBELET_FLAGS = (
    "/var/lib/kubelet/kubeadm-flags.env",
    "/etc/default/kubelet",
    "/etc/sysconfig/kubelet",
)

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
        r"""
if [ -d /run/systemd/system ]; then
  value systemd_running yes
  need systemctl
elif need sed; then
  said environ "$(tr '\0' '\n' </proc/1/environ | sed -n 's/^container=//p')"
fi
captured limited 10 systemctl --version; value systemd "${output%%"$nl"*}"
[ -e /.dockerenv ] && value marker docker
[ -e /run/.containerenv ] && value marker podman
true
""",
        files=("/run/systemd/container",),
        kernel_files=(_CONTROLLERS, _ENABLED, _INIT),
        shared=(mounts.READ,),
        answers=("systemd", "mounts"),
    )


def parse_cgroups(reading: probe.Reading) -> CgroupsShape:
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


def _hierarchies(reading: probe.Reading) -> tuple[Mode, list[str]]:
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

    A host that is itself a container shows its own view: what is mounted at ``/sys/fs/cgroup``
    there, not what the machine around it uses.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.cgroup.Cgroups
    """

    def command(self) -> str:
        return self.asking({CGROUPS_PROBE: script_cgroups()})

    def parse(self, readings: probe.Readings) -> CgroupsShape:
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
    """By name: ``kubelet``, ``docker``, ``crio``, and ``containerd/HANDLER`` for each runc-type
    handler, or ``containerd`` alone when its handlers cannot be told. A component that the host
    does not have is not listed."""
    agree: bool | None
    """Whether all use one driver; None when some cannot be told."""


def script_drivers() -> probe.Script:
    """The script of the drivers probe, containerd apart."""
    return probe.Script(
        rf"""
command -v dockerd >/dev/null && value dockerd yes
command -v crio >/dev/null && value crio yes
for path in {CRIO_DROP_INS}/*; do [ -f "$path" ] && exact "$path"; done
if command -v kubelet >/dev/null; then
  captured_part limited 10 kubelet --version; value kubelet_version "$output"
fi
config={KUBELET_CONFIG}; arguments=
for process in /proc/[0-9]*; do
  read -r name <"$process/comm" && [ "$name" = kubelet ] || continue
  arguments=$(tr '\0' ' ' <"$process/cmdline")
  said kubelet_arguments "$arguments"
  stated=$(printf '%s\n' "$arguments" | sed -n 's/.*--config[= ]\([^ ]*\).*/\1/p')
  config=${{stated:-$config}}
  break
done
value kubelet_config "$config"
[ "$config" = {KUBELET_CONFIG} ] || exact "$config"
set --
for path in {" ".join(KUBELET_FLAGS)}; do [ -r "$path" ] && set -- "$@" "$path"; done
if [ -n "$arguments" ] || [ $# -gt 0 ]; then
  # kubelet reads drop-ins only from the folder that it is told
  drop_ins=$(
    {{ printf '%s\n' "$arguments"; cat /dev/null "$@"; }} |
      sed -n 's/^[^#]*--config-dir[= ]"\{{0,1\}}\([^ "]*\).*/\1/p' | sed -n 1p
  )
  case $drop_ins in
    /*) value kubelet_drop_ins "$drop_ins"
      for path in "$drop_ins"/*.conf; do
        [ "$path" = "$config" ] || [ ! -e "$path" ] || exact "$path"
      done;;
  esac
fi
""",
        files=(DOCKER_CONFIG, CRIO_CONFIG, KUBELET_CONFIG, *KUBELET_FLAGS),
        units=("docker.service",),
        properties=("ExecStart",),
        programs=("sed",),
        answers=("kubelet_config",),
    )


def parse_drivers(
    drivers: probe.Reading, cgroups: CgroupsShape, runtime: containerd.ContainerdShape
) -> CgroupDriversShape:
    """The shape from what the host sent and the facts it builds on."""
    components: dict[str, ComponentShape] = {}
    if runtime["installed"]["binary"] and not runtime["effective"]:
        why = runtime["config"]["error"] or "containerd does not say what it makes of its files"
        components["containerd"] = _unknown(why)
    elif runtime["installed"]["binary"]:
        for name, handler in runtime["handlers"].items():
            if handler["cgroup_driver"] is not None:
                components[f"containerd/{name}"] = _of_handler(handler)

    if drivers.value("dockerd") or DOCKER_CONFIG in drivers.texts:
        default: Driver = "systemd" if _systemd_on_v2(cgroups) else "cgroupfs"
        components["docker"] = _component(
            lambda: cgroup_drivers.docker(
                _text(drivers, DOCKER_CONFIG),
                DOCKER_CONFIG,
                _docker_arguments(drivers),
            ),
            default,
            f"Docker's default on cgroup {cgroups['mode']}",
            unreadable(drivers, DOCKER_CONFIG),
        )
    if drivers.value("crio") or CRIO_CONFIG in drivers.texts:
        components["crio"] = _component(
            lambda: cgroup_drivers.crio(files(drivers, [CRIO_CONFIG], CRIO_DROP_INS)),
            "systemd",
            "CRI-O's default",
            unreadable(drivers, CRIO_CONFIG, CRIO_DROP_INS),
        )
    config = drivers.value("kubelet_config") or KUBELET_CONFIG
    if "kubelet_version" in drivers.values or config in drivers.texts:
        components["kubelet"] = _of_kubelet(drivers, config, runtime)

    found = {component["driver"] for component in components.values()}
    return {"components": components, "agree": None if None in found else len(found) <= 1}


def _of_handler(
    handler: containerd.HandlerShape,
) -> ComponentShape:
    stated = handler["stated"]
    return {
        "driver": handler["cgroup_driver"],
        "stated": stated is not None,
        "file": stated["file"] if stated else None,
        "line": stated["line"] if stated else None,
        "reason": "SystemdCgroup of the runtime handler" if stated else "containerd's default",
    }


def _of_kubelet(
    drivers: probe.Reading, config: str, runtime: containerd.ContainerdShape
) -> ComponentShape:
    drop_ins = drivers.value("kubelet_drop_ins")
    component = _component(
        lambda: cgroup_drivers.kubelet(
            files(drivers, [config], drop_ins),
            files(drivers, KUBELET_FLAGS),
            " ".join(drivers.text("kubelet_arguments")),
        ),
        "cgroupfs",
        "kubelet's default",
        unreadable(drivers, config, drop_ins or config, *KUBELET_FLAGS),
    )
    version = _kubelet_version(drivers)
    default_handler = runtime["handlers"].get(runtime["default_handler"] or "")
    if version and version >= Version("1.34") and default_handler and _answers_driver(runtime):
        # KubeletCgroupDriverFromCRI, GA in 1.34: what the runtime answers wins over kubelet's own
        # configuration. containerd answers with its default handler's driver.
        own = f", not {component['file']}" if component["stated"] else ""
        return {
            "driver": default_handler["cgroup_driver"],
            "stated": False,
            "file": None,
            "line": None,
            "reason": f"kubelet {version} asks containerd {runtime['installed']['version']}{own}",
        }
    return component


def _answers_driver(runtime: containerd.ContainerdShape) -> bool:
    version = runtime["installed"]["version"]
    return version is not None and release_of(Version(version)).has_runtime_config


def _kubelet_version(drivers: probe.Reading) -> Version | None:
    try:
        return Version((drivers.value("kubelet_version") or "").removeprefix("Kubernetes v"))
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


def _unknown(reason: str) -> ComponentShape:
    return {"driver": None, "stated": False, "file": None, "line": None, "reason": reason}


def _docker_arguments(drivers: probe.Reading) -> str:
    start = (drivers.unit("docker.service") or {}).get("ExecStart", "")
    arguments, semicolon, _ = start.partition("argv[]=")[2].partition(";")
    return arguments if semicolon else ""


def _systemd_on_v2(cgroups: CgroupsShape) -> bool:
    return cgroups["mode"] == "v2" and cgroups["systemd"]["running"]


def _text(reading: probe.Reading, path: str) -> str | None:
    return "\n".join(reading.text(path)) if path in reading.texts else None


def files(
    reading: probe.Reading, paths: list[str] | tuple[str, ...], drop_ins: str | None = None
) -> list[tuple[str, str]]:
    """Path and text of the *paths* that were sent, then of the files in the folder *drop_ins*."""
    found = [path for path in paths if path in reading.texts]
    if drop_ins:
        found += sorted(path for path in reading.texts if path.rpartition("/")[0] == drop_ins)
    return [(path, "\n".join(reading.text(path))) for path in found]


def unreadable(reading: probe.Reading, *paths: str) -> str | None:
    """The first of *paths*, or of what is in them, that could not be read."""
    return next(
        (
            unreadable
            for unreadable in sorted(reading.unreadable)
            for path in paths
            if unreadable == path or unreadable.startswith(f"{path}/")
        ),
        None,
    )


class CgroupDrivers(ProbeFact[CgroupDriversShape]):
    """
    Returns which cgroup driver containerd, Docker, CRI-O and kubelet use, where each is stated, and
    whether they agree (:class:`CgroupDriversShape`).

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
                containerd.PACKAGE_PROBE: containerd.script_package(),
                containerd.DAEMON_PROBE: containerd.script_daemon(),
            }
        )

    def parse(self, readings: probe.Readings) -> CgroupDriversShape:
        return parse_drivers(
            readings[DRIVERS_PROBE],
            parse_cgroups(readings[CGROUPS_PROBE]),
            containerd.parse_daemon(
                readings[containerd.PACKAGE_PROBE], readings[containerd.DAEMON_PROBE]
            ).shape,
        )
