"""Other runtimes than containerd: their units, sockets and programs, and who points at them.

A part of the facts that the deploy reads. What kubelet is told is read from its usual files and its
unit here, which costs a host little; :class:`kubenode.facts.kubelet.Kubelet` follows all of it.
"""

from __future__ import annotations

import re

from kubenode.facts import kubelet_start
from kubenode.linux.unit import STARTED_BY, started_by, starts_at_boot
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
        rf"""
programs=
for program in {" ".join(other_runtimes.PROGRAMS)} containerd; do
  if command -v "$program" >/dev/null; then programs="$programs $program"; fi
done
value programs "$programs"
sockets=
for socket in {" ".join(_SOCKETS)}; do
  if [ -S "$socket" ]; then sockets="$sockets $socket"
  elif [ -d "${{socket%/*}}" ] && [ ! -x "${{socket%/*}}" ]; then unreadable "$socket"; fi
done
value sockets "$sockets"
unit {kubelet_start.UNIT}
main=0
case $nl$paragraph in *"$nl"MainPID=*) main=${{paragraph#*MainPID=}}; main=${{main%%"$nl"*}};; esac
case $main in
  0 | '' | *[!0-9]*) ;;
  *) said runtimes_kubelet "$(tr '\n\0' '? ' <"/proc/$main/cmdline")";;
esac
""",
        files=(CRICTL_CONFIG, kubelet_start.CONFIG, *kubelet_start.ENVIRONMENT_FILES),
        units=(*other_runtimes.UNITS, kubelet_start.UNIT),
        properties=(
            "ActiveState", "UnitFileState", *STARTED_BY, "Listen", "ExecStart", "MainPID",
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
    units, unknown = _units(reading)
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


def _units(reading: probe.Reading) -> tuple[dict[str, UnitOfRuntime], list[str]]:
    """The units that there are, and why others are not known."""
    said: dict[str, dict[str, str]] = {}
    unknown = []
    for name in (*other_runtimes.UNITS, kubelet_start.UNIT):
        try:
            said[name] = reading.unit(name) or {}
        except probe.ProbeError as error:
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
