"""Other runtimes than containerd: their units, sockets and programs, and who points at them.

A part of the facts that the deploy reads. What kubelet is told is read from its usual files and its
unit here, which costs a host little; :class:`kubenode.facts.kubelet.Kubelet` follows all of it.
"""

from __future__ import annotations

import re

from kubenode.facts import kubelet_start
from kubenode.run import host_script
from kubenode.runtimes import cgroup_drivers, crictl, other_runtimes
from kubenode.runtimes.cgroup_drivers import CannotTell
from kubenode.runtimes.other_runtimes import RuntimesShape, UnitOfRuntime
from kubenode.wire import probe

PROBE = "runtimes"

CRICTL_CONFIG = "/etc/crictl.yaml"

_SOCKETS = tuple(
    path
    for socket in other_runtimes.SOCKETS
    # the same, but where /var/run is no link to /run
    for path in (socket, f"/var{socket}")
)
_FLAG = re.compile(r"--container[-_]runtime[-_]endpoint(?:=|\s+)[\"']?([^\s\"']+)")


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(
        host_script.read(
            __file__,
            "runtimes.sh",
            KUBELET_UNIT=kubelet_start.UNIT,
            PROGRAMS=" ".join(other_runtimes.PROGRAMS),
            SOCKETS=" ".join(_SOCKETS),
        ),
        files=(CRICTL_CONFIG, kubelet_start.CONFIG, *kubelet_start.ENVIRONMENT_FILES),
        units=(*other_runtimes.UNITS, kubelet_start.UNIT),
        properties=(
            "ActiveState", "UnitFileState", "WantedBy", "RequiredBy", "Listen", "ExecStart",
            "MainPID",
        ),
        answers=("programs", "sockets"),
    )  # fmt: skip


def parse(readings: probe.Readings) -> RuntimesShape:
    """The shape from what the host sent; a probe that is not there is unknown, and no error.

    + readings: with this module's probe
    """
    try:
        return _parse(readings[PROBE])
    except probe.ProbeError as error:
        return {**other_runtimes.NONE, "unknown": [str(error)]}


def _parse(reading: probe.Reading) -> RuntimesShape:
    units: dict[str, UnitOfRuntime] = {}
    unknown = []
    for name in other_runtimes.UNITS:
        try:
            properties = reading.unit(name)
        except probe.ProbeError as error:
            unknown.append(str(error))
            continue
        # a masked one is not started
        if properties and properties.get("LoadState") not in ("not-found", "masked"):
            listens = [
                line.removeprefix("Listen=").rpartition(" (")[0]
                for line in reading.text(f"unit:{name}")
                if line.startswith("Listen=/")
            ]
            units[name] = {
                "active": properties.get("ActiveState", ""),
                "enabled": _is_enabled(properties),
                "listens": listens,
            }
    unknown += [f"cannot look for {path}" for path in _SOCKETS if path in reading.unreadable]
    users_unknown: list[str] = []
    sockets = dict.fromkeys(
        other_runtimes.path_of(path)
        for path in (reading.value("sockets") or "").split()
        if path in _SOCKETS
    )
    known = {*other_runtimes.PROGRAMS, "containerd"}
    return {
        "units": units,
        "sockets": list(sockets),
        "programs": [name for name in (reading.value("programs") or "").split() if name in known],
        "kubelet_endpoint": _of_kubelet(reading, users_unknown),
        "crictl_endpoint": _of_crictl(reading, users_unknown),
        "unknown": unknown,
        "users_unknown": users_unknown,
    }


def _is_enabled(properties: dict[str, str]) -> bool:
    # A target may want a unit that has no [Install] section. That a service of the same runtime
    # requires its socket starts neither.
    wanted = f"{properties.get('WantedBy', '')} {properties.get('RequiredBy', '')}".split()
    return properties.get("UnitFileState") in ("enabled", "enabled-runtime") or any(
        name.endswith(".target") for name in wanted
    )


def _of_kubelet(reading: probe.Reading, unknown: list[str]) -> str | None:
    unit = f"unit:{kubelet_start.UNIT}"
    if unit in reading.unreadable:
        unknown.append(f"systemd does not say what it knows of {kubelet_start.UNIT}")
    stated = []
    for path in kubelet_start.ENVIRONMENT_FILES:
        if path in reading.unreadable:
            unknown.append(f"cannot read {path}")
        stated += [line for line in reading.text(path) if not line.lstrip().startswith("#")]
    stated += [line for line in reading.text(unit) if line.startswith("ExecStart=")]
    # what it was started with goes before what it would be started with
    for lines in (reading.text("runtimes_kubelet"), stated):
        if flags := _FLAG.findall("\n".join(lines)):
            return str(flags[-1])
    path = kubelet_start.CONFIG
    if path in reading.unreadable:
        unknown.append(f"cannot read {path}")
    if path not in reading.texts:
        return None
    try:
        settings = cgroup_drivers.kubelet_settings([(path, "\n".join(reading.text(path)))])
    except CannotTell as error:
        unknown.append(str(error))
        return None
    endpoint = settings.get("containerRuntimeEndpoint")
    return endpoint if isinstance(endpoint, str) and endpoint else None


def _of_crictl(reading: probe.Reading, unknown: list[str]) -> str | None:
    if CRICTL_CONFIG in reading.unreadable:
        unknown.append(f"cannot read {CRICTL_CONFIG}")
    if CRICTL_CONFIG not in reading.exact:
        return None
    try:
        settings = crictl.settings(reading.exact[CRICTL_CONFIG])
    except crictl.CrictlConfigError as error:
        unknown.append(f"{CRICTL_CONFIG}: {error}")
        return None
    return settings.get("runtime-endpoint") or None
