"""Which runtimes a host has beside the one that is wanted, and who uses them.

kubenode sets up one runtime a host. A host whose pods run by another one stays as it is: a second
one beside it makes kubeadm refuse ("found multiple CRI endpoints on the host"), and a crictl that
is pointed elsewhere shows nothing of what runs. Only where it is told to replace the other one
(``kubenode_replace_runtime``) does it set up the wanted one beside it, and then changes over.

Docker Engine without cri-dockerd is none of them, since kubelet does not talk to it. Its containerd
belongs to it: beside Docker Engine that is another runtime only where kubelet or crictl uses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from kubenode.runtimes.runtime import (
    CONTAINERD,
    DOCKER,
    RUNTIMES,
    Runtime,
    of_endpoint,
    path_of,
)

State = Literal["runs", "seems to run", "starts at boot", "is used", "is installed"]

ENGINE = "dockerd"
"""The program of Docker Engine, which has a containerd of its own use."""
ENGINE_UNITS = ("docker.socket", "docker.service")
"""Docker Engine's own, which go with cri-dockerd."""
DISABLED = "/var/lib/kubenode/disabled-units"
"""The units that changes of the runtime have disabled, a line each: they were enabled before."""

UNITS: Mapping[str, str] = {unit: row.cri for row in RUNTIMES for unit in row.units}
PROGRAMS: Mapping[str, str] = {program: row.cri for row in RUNTIMES for program in row.programs}
SOCKETS: Mapping[str, str] = {row.socket: row.cri for row in RUNTIMES}
_NAMES = tuple(dict.fromkeys(row.cri for row in RUNTIMES))


class UnitOfRuntime(TypedDict):
    """A unit of a runtime that systemd has."""

    active: str
    """``ActiveState``."""
    enabled: bool
    """Whether something starts it at boot."""
    listens: list[str]
    """Paths of sockets that it listens on, of a socket unit."""


class RuntimesShape(TypedDict):
    """What a host has of each runtime, and what points at which of them."""

    units: dict[str, UnitOfRuntime]
    """Those of :data:`UNITS` that there are."""
    sockets: list[str]
    """Those of :data:`SOCKETS` that exist."""
    programs: list[str]
    """Those of :data:`PROGRAMS`, and :data:`ENGINE`, that are in PATH."""
    kubelet_endpoint: str | None
    """``containerRuntimeEndpoint`` of kubelet's usual files, or the flag; its default, which is
    containerd's, of a kubelet that runs and is told none. None: they have none."""
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
    """A runtime beside the one that is wanted."""

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


def remedy(wanted: Runtime) -> str:
    """What to do on a host where another runtime than *wanted* is in use."""
    return (
        f"kubenode_runtime is {wanted.name}, and no second runtime comes beside another: set it to "
        "the one that shall stay, or drain the node and set kubenode_replace_runtime to True, and "
        f"{wanted.cri} takes the other's place"
    )


def found(shape: RuntimesShape, wanted: Runtime) -> list[OtherRuntime]:
    """The other runtimes of a host, those that only are installed too.

    + shape: what the host has
    + wanted: the one that they are beside
    """
    return [
        runtime
        for name in _NAMES
        if name != wanted.cri and (runtime := _runtime(name, shape, wanted))
    ]


def is_of_engine(shape: RuntimesShape, wanted: Runtime) -> bool:
    """Whether containerd is there for Docker Engine, so that it may run beside *wanted*.

    + shape: what the host has
    + wanted: the runtime that is wanted
    """
    return wanted.cri == DOCKER.cri or ENGINE in shape["programs"]


def _runtime(name: str, shape: RuntimesShape, wanted: Runtime) -> OtherRuntime | None:
    units = {unit: state for unit, state in shape["units"].items() if UNITS.get(unit) == name}
    own = {path_of(path) for state in units.values() for path in state["listens"]}
    endpoints = {
        who: endpoint
        for who, endpoint in (
            ("kubelet", shape["kubelet_endpoint"]),
            ("/etc/crictl.yaml", shape["crictl_endpoint"]),
        )
        if endpoint and (_behind(endpoint) == name or path_of(endpoint) in own)
    }
    if name == CONTAINERD.cri and not endpoints and is_of_engine(shape, wanted):
        return None
    active = [unit for unit, state in units.items() if state["active"] not in _AT_REST]
    enabled = [unit for unit, state in units.items() if state["enabled"]]
    sockets = [path for path in shape["sockets"] if SOCKETS.get(path_of(path)) == name]
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


@dataclass(frozen=True)
class Stopped:
    """What of a host's runtimes nobody needs once another one has taken their place.

    + units: systemd units that are stopped and disabled
    + sockets: what is left of them in ``/run``, and would be taken for a runtime
    """

    units: tuple[str, ...]
    sockets: tuple[str, ...]


def stopped(shape: RuntimesShape, engine: Mapping[str, str], wanted: Runtime) -> Stopped:
    """What is stopped and disabled where *wanted* takes the place of the others that are in use.

    + shape: what the host has
    + engine: ``ActiveState`` of those of :data:`ENGINE_UNITS` that it has, by name
    + wanted: the runtime that is wanted

    Docker Engine goes with its cri-dockerd. Its containerd stays where containerd or Docker Engine
    is wanted, and where the engine runs on for others than kubelet.
    """
    names = [other.name for other in in_use(shape, wanted)]
    has_engine_gone = DOCKER.cri in names
    runs_on = not has_engine_gone and any(state not in _AT_REST for state in engine.values())
    if wanted.cri == DOCKER.cri or runs_on:
        names = [name for name in names if name != CONTAINERD.cri]
    elif has_engine_gone and wanted.cri != CONTAINERD.cri:
        # for nobody but the engine
        names.append(CONTAINERD.cri)
    units = [unit for unit in shape["units"] if UNITS.get(unit) in names]
    listens = [path for unit in units for path in shape["units"][unit]["listens"]]
    own = [path for path, name in SOCKETS.items() if name in names]
    # a socket before what it starts
    units.sort(key=lambda unit: not unit.endswith(".socket"))
    units += engine if has_engine_gone else []
    return Stopped(tuple(units), tuple(dict.fromkeys([*own, *listens])))


def enabled_again(
    shape: RuntimesShape, engine: Mapping[str, str], disabled: Sequence[str], wanted: Runtime
) -> tuple[str, ...]:
    """Units of *wanted* that start at boot again, since a change of the runtime has disabled them.

    + shape: what the host has
    + engine: those of :data:`ENGINE_UNITS` that it has, by name
    + disabled: what :data:`DISABLED` says
    + wanted: the runtime that comes back

    Docker Engine comes with its socket and its containerd, which ``docker.service`` would start
    also where they are not enabled.
    """
    names = {wanted.cri, CONTAINERD.cri} if wanted.cri == DOCKER.cri else {wanted.cri}
    units = [unit for unit in shape["units"] if UNITS.get(unit) in names]
    units += engine if wanted.cri == DOCKER.cri else []
    return tuple(unit for unit in disabled if unit in units)


_AT_REST = ("", "inactive", "failed")


def _behind(endpoint: str) -> str | None:
    row = of_endpoint(endpoint)
    return row.cri if row else None


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


def refusal(
    shape: RuntimesShape, wanted: Runtime, *, replaces: bool = False
) -> tuple[str, str] | None:
    """Why *wanted* must not be set up on a host, and what to do; None when it may be.

    + shape: what the host has
    + wanted: the runtime that is wanted
    + replaces: whether it shall take the place of another one that is in use

    What cannot be told counts as another runtime where it decides: a systemd that does not answer,
    and, where another runtime is installed, a kubelet or crictl of which nobody knows whom it uses.
    """
    others = found(shape, wanted)
    used = [str(runtime) for runtime in others if runtime.is_in_use]
    if used and not replaces:
        return "; ".join(used), remedy(wanted)
    if shape["unknown"]:
        return (
            f"cannot tell whether another runtime runs here: {'; '.join(shape['unknown'])}",
            "see on the host why, then run this again",
        )
    may_be_used = [str(runtime) for runtime in others]
    if (
        wanted is not CONTAINERD
        and CONTAINERD.name in shape["programs"]
        and not _runs(wanted, shape)
    ):
        may_be_used.append("containerd")
    if may_be_used and shape["users_unknown"]:
        return (
            f"cannot tell whether {may_be_used[0]} is used: {'; '.join(shape['users_unknown'])}",
            "correct that, or remove the other runtime",
        )
    endpoint = shape["kubelet_endpoint"]
    is_replaced = replaces and endpoint is not None and _behind(endpoint) is not None
    if (
        endpoint
        and not is_replaced
        and _behind(endpoint) != wanted.cri
        and not _programs(wanted.cri, shape)
    ):
        return (
            f"kubelet is told to use the runtime at {endpoint}, which is not {wanted.cri}'s socket",
            "remove that runtime first, or leave this host out",
        )
    return None


def _runs(wanted: Runtime, shape: RuntimesShape) -> bool:
    return any(
        state["active"] not in _AT_REST
        for unit, state in shape["units"].items()
        if UNITS.get(unit) == wanted.cri
    )


def warnings(shape: RuntimesShape, wanted: Runtime) -> list[tuple[str, str]]:
    """What is worth a word of a host that :func:`refusal` lets pass, and what to do.

    + shape: what the host has
    + wanted: the runtime that is wanted
    """
    return [
        (
            str(runtime),
            f"{wanted.cri} takes its place"
            if runtime.is_in_use
            else "it neither runs nor is used, and stays as it is",
        )
        for runtime in found(shape, wanted)
    ] + [
        (f"cannot tell which runtime is used: {why}", "correct that file")
        for why in shape["users_unknown"]
    ]


def in_use(shape: RuntimesShape, wanted: Runtime) -> list[OtherRuntime]:
    """The other runtimes that run, start at boot, or are pointed at.

    + shape: what the host has
    + wanted: the runtime that they are beside
    """
    return [runtime for runtime in found(shape, wanted) if runtime.is_in_use]
