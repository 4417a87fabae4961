"""Which runtimes a host has beside containerd, and who uses them: CRI-O and cri-dockerd.

kubenode manages containerd. A host whose pods run by another runtime stays as it is: a second one
beside it makes kubeadm refuse ("found multiple CRI endpoints on the host"), and a crictl that is
pointed elsewhere shows nothing of what runs.

Docker Engine without cri-dockerd is none of them: containerd belongs to it, and kubelet does not
talk to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from kubenode.runtimes.runtime import CONTAINERD, RUNTIMES, of_endpoint, path_of

State = Literal["runs", "seems to run", "starts at boot", "is used", "is installed"]

_OTHERS = tuple(row for row in RUNTIMES if row is not CONTAINERD)

UNITS: Mapping[str, str] = {unit: row.cri for row in _OTHERS for unit in row.units}
PROGRAMS: Mapping[str, str] = {program: row.cri for row in _OTHERS for program in row.programs}
SOCKETS: Mapping[str, str] = {row.socket: row.cri for row in _OTHERS}
_NAMES = tuple(dict.fromkeys(row.cri for row in _OTHERS))

REMEDY = "kubenode does not manage it yet; remove it first, or leave this host out"


class UnitOfRuntime(TypedDict):
    """A unit of another runtime that systemd has."""

    active: str
    """``ActiveState``."""
    enabled: bool
    """Whether something starts it at boot."""
    listens: list[str]
    """Paths of sockets that it listens on, of a socket unit."""


class RuntimesShape(TypedDict):
    """What a host has of other runtimes than containerd, and what points at which runtime."""

    units: dict[str, UnitOfRuntime]
    """Those of :data:`UNITS` that there are."""
    sockets: list[str]
    """Those of :data:`SOCKETS` that exist."""
    programs: list[str]
    """Those of :data:`PROGRAMS`, and ``containerd``, that are in PATH."""
    kubelet_endpoint: str | None
    """``containerRuntimeEndpoint`` of kubelet's usual files, or the flag; None: they have none."""
    crictl_endpoint: str | None
    """``runtime-endpoint`` of ``/etc/crictl.yaml``."""
    unknown: list[str]
    """Why it cannot be told whether another runtime is used here."""
    users_unknown: list[str]
    """Why it cannot be told whom kubelet or crictl uses."""


NONE: RuntimesShape = {
    "units": {},
    "sockets": [],
    "programs": [],
    "kubelet_endpoint": None,
    "crictl_endpoint": None,
    "unknown": [],
    "users_unknown": [],
}


@dataclass(frozen=True)
class OtherRuntime:
    """A runtime beside containerd."""

    name: str
    signs: tuple[str, ...]
    """What of it there is: ``crio.service is active``, ``/run/crio/crio.sock exists``."""
    users: tuple[str, ...]
    """Who points at it: ``kubelet``, ``/etc/crictl.yaml``."""
    state: State

    @property
    def is_in_use(self) -> bool:
        """Whether it is more than installed: it runs, will run, or somebody points at it."""
        return self.state != "is installed"

    def __str__(self) -> str:
        return f"{self.name} {self.state} here ({'; '.join(self.signs)})"


def behind(endpoint: str | None) -> str | None:
    """The other runtime that an endpoint leads to; None for containerd's, and one not known here.

    + endpoint: such as ``unix:///var/run/crio/crio.sock``
    """
    row = of_endpoint(endpoint)
    return row.cri if row in _OTHERS else None


def found(shape: RuntimesShape) -> list[OtherRuntime]:
    """The other runtimes of a host, those that only are installed too.

    + shape: what the host has
    """
    return [runtime for name in _NAMES if (runtime := _runtime(name, shape))]


def _runtime(name: str, shape: RuntimesShape) -> OtherRuntime | None:
    units = {unit: state for unit, state in shape["units"].items() if UNITS.get(unit) == name}
    active = [unit for unit, state in units.items() if state["active"] not in _AT_REST]
    enabled = [unit for unit, state in units.items() if state["enabled"]]
    sockets = [path for path in shape["sockets"] if SOCKETS.get(path_of(path)) == name]
    own = {path_of(path) for state in units.values() for path in state["listens"]}
    endpoints = {
        who: endpoint
        for who, endpoint in (
            ("kubelet", shape["kubelet_endpoint"]),
            ("/etc/crictl.yaml", shape["crictl_endpoint"]),
        )
        if endpoint and (behind(endpoint) == name or path_of(endpoint) in own)
    }
    signs = [f"{unit} is {units[unit]['active']}" for unit in active]
    signs += [f"{unit} is enabled" for unit in enabled if unit not in active]
    signs += [f"{path} exists" for path in sockets if not active]
    signs += _pointing(endpoints)
    state: State
    if active:
        state = "runs"
    elif sockets:
        # one that was killed leaves its own
        state = "seems to run"
    elif enabled:
        state = "starts at boot"
    elif endpoints:
        state = "is used"
    else:
        state = "is installed"
        signs = [*units, *(f"the program {each}" for each in _programs(name, shape))]
    return OtherRuntime(name, tuple(signs), tuple(endpoints), state) if signs else None


_AT_REST = ("", "inactive", "failed")


def _programs(name: str, shape: RuntimesShape) -> list[str]:
    return [program for program in shape["programs"] if PROGRAMS.get(program) == name]


def _pointing(endpoints: Mapping[str, str]) -> list[str]:
    """``kubelet and /etc/crictl.yaml point at /var/run/crio/crio.sock``."""
    by_path: dict[str, list[str]] = {}
    spelled: dict[str, str] = {}
    for who, endpoint in endpoints.items():
        by_path.setdefault(path_of(endpoint), []).append(who)
        spelled.setdefault(path_of(endpoint), endpoint.removeprefix("unix://"))
    return [
        f"{' and '.join(who)} {'point' if len(who) > 1 else 'points'} at {spelled[path]}"
        for path, who in by_path.items()
    ]


def refusal(shape: RuntimesShape) -> tuple[str, str] | None:
    """Why containerd must not be set up on a host, and what to do; None when it may be.

    + shape: what the host has

    What cannot be told counts as another runtime where it decides: a systemd that does not answer,
    and, where another runtime is installed, a kubelet or crictl of which nobody knows whom it uses.
    """
    others = found(shape)
    if used := [str(runtime) for runtime in others if runtime.is_in_use]:
        return "; ".join(used), REMEDY
    if shape["unknown"]:
        return (
            f"cannot tell whether another runtime runs here: {'; '.join(shape['unknown'])}",
            "see on the host why, then run this again",
        )
    if others and shape["users_unknown"]:
        return (
            f"cannot tell whether {others[0]} is used: {'; '.join(shape['users_unknown'])}",
            "correct that, or remove the other runtime",
        )
    endpoint = shape["kubelet_endpoint"]
    if endpoint and _is_foreign(endpoint) and "containerd" not in shape["programs"]:
        return (
            f"kubelet is told to use the runtime at {endpoint}, which is not containerd's socket",
            "remove that runtime first, or leave this host out",
        )
    return None


def _is_foreign(endpoint: str) -> bool:
    return of_endpoint(endpoint) is not CONTAINERD


def warnings(shape: RuntimesShape) -> list[tuple[str, str]]:
    """What is worth a word of a host that :func:`refusal` lets pass, and what to do.

    + shape: what the host has
    """
    return [
        (str(runtime), "it neither runs nor is used, and stays as it is")
        for runtime in found(shape)
    ] + [
        (f"cannot tell which runtime is used: {why}", "correct that file")
        for why in shape["users_unknown"]
    ]


def in_use(shape: RuntimesShape) -> Sequence[OtherRuntime]:
    """The other runtimes that run, start at boot, or are pointed at.

    + shape: what the host has
    """
    return [runtime for runtime in found(shape) if runtime.is_in_use]
