"""Each runtime's units, sockets and programs, and who points at which of them.

A part of the facts that the deploy reads. What kubelet is told is read from its usual files and its
unit here, which costs a host little; :class:`kubenode.facts.kubelet.Kubelet` follows all of it.
"""

from __future__ import annotations

import re

from kubenode.facts import kubelet_start
from kubenode.files.cannot_tell import CannotTell
from kubenode.kubelet.config import kubelet_settings, runtime_endpoint
from kubenode.linux.unit import STARTED_BY, started_by, starts_at_boot
from kubenode.run import host_script
from kubenode.runtimes import crictl, other_runtimes
from kubenode.runtimes.crictl import CRICTL_CONFIG
from kubenode.runtimes.other_runtimes import RuntimesShape, UnitOfRuntime
from kubenode.runtimes.runtime import CONTAINERD, path_of
from kubenode.wire import probe
from kubenode.wire.reading import ProbeError, Reading, Readings

PROBE = "runtimes"

_SOCKETS = tuple(
    path
    for socket in other_runtimes.SOCKETS
    # the same, but where /var/run is no link to /run
    for path in (socket, f"/var{socket}")
)
_PROGRAMS = (*other_runtimes.PROGRAMS, other_runtimes.ENGINE)
_FLAG = re.compile(r"--container[-_]runtime[-_]endpoint(?:=|\s+)[\"']?([^\s\"']+)")


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(
        host_script.read(
            __file__,
            "runtimes.sh",
            KUBELET_UNIT=kubelet_start.UNIT,
            PROGRAMS=" ".join(_PROGRAMS),
            SOCKETS=" ".join(_SOCKETS),
        ),
        files=(CRICTL_CONFIG, kubelet_start.CONFIG, *kubelet_start.ENVIRONMENT_FILES),
        units=(*other_runtimes.UNITS, kubelet_start.UNIT),
        properties=(
            "ActiveState", "UnitFileState", *STARTED_BY, "Listen", "ExecStart", "MainPID",
        ),
        answers=("programs", "sockets"),
    )  # fmt: skip


def parse(readings: Readings) -> RuntimesShape:
    """The shape from what the host sent; a probe that is not there is unknown, and no error.

    + readings: with this module's probe
    """
    try:
        return parse_reading(readings[PROBE])
    except ProbeError as error:
        return not_known(str(error))


def not_known(why: str) -> RuntimesShape:
    """The shape where nothing is known.

    + why: the reason
    """
    return {**other_runtimes.NONE, "unknown": [why]}


def parse_reading(reading: Reading) -> RuntimesShape:
    """The shape from this module's probe."""
    units, unknown = _units(reading)
    unknown += [f"cannot look for {path}" for path in _SOCKETS if path in reading.unreadable]
    users_unknown: list[str] = []
    sockets = dict.fromkeys(
        path_of(path) for path in (reading.value("sockets") or "").split() if path in _SOCKETS
    )
    return {
        "units": units,
        "sockets": list(sockets),
        "programs": [
            name for name in (reading.value("programs") or "").split() if name in _PROGRAMS
        ],
        "kubelet_endpoint": _of_kubelet(reading, users_unknown),
        "crictl_endpoint": _of_crictl(reading, users_unknown),
        "unknown": unknown,
        "users_unknown": users_unknown,
    }


def _units(reading: Reading) -> tuple[dict[str, UnitOfRuntime], list[str]]:
    """The units that there are, and why others are not known."""
    said: dict[str, dict[str, str]] = {}
    unknown = []
    for name in (*other_runtimes.UNITS, kubelet_start.UNIT):
        try:
            said[name] = reading.unit(name) or {}
        except ProbeError as error:
            if name in other_runtimes.UNITS:
                unknown.append(str(error))
    # that a service requires its socket starts neither, unless something starts the service
    others: dict[str, bool | None] = {}
    for _ in range(2):
        others = {name: _starts(properties, others) for name, properties in said.items()}
    units: dict[str, UnitOfRuntime] = {}
    for name in other_runtimes.UNITS:
        properties = said.get(name, {})
        load = properties.get("LoadState", "not-found")
        # a mask in /run is gone after the next boot
        is_masked = load == "masked" and properties.get("UnitFileState") != "masked-runtime"
        if load != "not-found" and not is_masked:
            units[name] = {
                "active": properties.get("ActiveState", ""),
                "enabled": others[name] is not False,
                "listens": [
                    line.removeprefix("Listen=").rpartition(" (")[0]
                    for line in reading.text(f"unit:{name}")
                    if line.startswith("Listen=/")
                ],
            }
    return units, unknown


def _starts(properties: dict[str, str], others: dict[str, bool | None]) -> bool | None:
    if properties.get("LoadState", "not-found") == "not-found":
        return False
    return starts_at_boot(properties.get("UnitFileState", ""), started_by(properties), others)


def _of_kubelet(reading: Reading, unknown: list[str]) -> str | None:
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
        return _default(reading)
    try:
        settings = kubelet_settings([(path, "\n".join(reading.text(path)))])
    except CannotTell as error:
        unknown.append(str(error))
        return None
    return runtime_endpoint({}, settings) or _default(reading)


def _default(reading: Reading) -> str | None:
    """What a kubelet uses that runs and is told no endpoint."""
    return f"unix://{CONTAINERD.socket}" if reading.text("runtimes_kubelet") else None


def _of_crictl(reading: Reading, unknown: list[str]) -> str | None:
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
