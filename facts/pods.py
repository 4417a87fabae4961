"""Containers of pods, for every runtime, by the cgroup driver that placed them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TypedDict

from kubenode.linux import cgroups
from kubenode.linux.cgroups import Container, Driver
from kubenode.run import host_script
from kubenode.runtimes.runtime import CONTAINERD, CRIO, DOCKER
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "container-cgroups"

_MOST_BYTES = 2 * 1024 * 1024

SCOPES: Mapping[str, str] = MappingProxyType(
    {row.name: row.scope for row in (CONTAINERD, CRIO, DOCKER)}
)
"""What stands before a container's id in the cgroup tree, by runtime; MCR is Docker there."""

_ALWAYS_NAMED = ("crio",)
"""Runtimes whose containers have their prefix with the cgroupfs driver too."""


class DriversShape(TypedDict):
    """Containers by the driver that placed them."""

    systemd: int
    cgroupfs: int


class PodsShape(TypedDict):
    """What :class:`Pods` returns."""

    runtimes: dict[str, DriversShape]
    """Containers of pods by the runtime that their cgroup names: ``containerd``, ``crio``,
    ``docker``. Those of pods that were started without kubelet count too, but for Docker's."""
    unnamed: DriversShape
    """Containers of kubelet's pods whose cgroup names no runtime: the cgroupfs driver's, of
    containerd or Docker (``/kubepods/burstable/podUID/ID``)."""
    outside: DriversShape
    """Containers elsewhere that nobody can tell from pods': of ``docker run``, and of pods that
    were started without kubelet through cri-dockerd, or with a parent of somebody's choice
    (``/docker/ID``, ``/parent/ID``)."""


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(
        host_script.read(
            __file__,
            "pods.sh",
            PATTERN=cgroups.pattern(SCOPES.values()),
            MOST_BYTES=_MOST_BYTES,
            LEAST_CUT=_MOST_BYTES - 1,
        ),
        programs=("sort",),
        answers=("paths",),
    )


def containers(reading: Reading) -> list[Container]:
    """Containers that have a process, from what the host sent; ProbeError when it did not say.

    Containers whose cgroup a user or another container may have named are none.
    """
    own = {
        hierarchy: path.removesuffix("/init.scope") for hierarchy, path in _lines(reading, "own")
    }
    paths = set()
    for hierarchy, path in _lines(reading.known("paths"), "paths"):
        # a host that is a container itself may see its paths as the machine around it does
        outer = own.get(hierarchy, "").rstrip("/")
        paths.add(path.removeprefix(outer) if f"{path}/".startswith(f"{outer}/") else path)
    found: dict[str, Container] = {}
    # v1 has a line for each hierarchy: the same path, or not
    for path in sorted(paths):
        if container := cgroups.container_at(path, SCOPES):
            known = found.get(container.id)
            if known is None or (container.is_kubelets and not known.is_kubelets):
                found[container.id] = container
    return list(found.values())


def _lines(reading: Reading, key: str) -> Iterator[tuple[str, str]]:
    """Hierarchy and path of the lines of ``/proc/PID/cgroup``."""
    for line in reading.text(key):
        if line.count(":") >= 2:
            _, hierarchy, path = line.split(":", 2)
            yield hierarchy, path


def parse(reading: Reading) -> PodsShape:
    """The shape from what the host sent."""
    shape: PodsShape = {
        "runtimes": {name: {"systemd": 0, "cgroupfs": 0} for name in SCOPES},
        "unnamed": {"systemd": 0, "cgroupfs": 0},
        "outside": {"systemd": 0, "cgroupfs": 0},
    }
    for container in containers(reading):
        is_dockers_own = container.runtime == "docker" and not container.is_kubelets
        if container.runtime is not None and not is_dockers_own:
            shape["runtimes"][container.runtime][container.driver] += 1
        else:
            shape["unnamed" if container.is_kubelets else "outside"][container.driver] += 1
    return shape


def at_most(pods: PodsShape, runtime: str, driver: Driver) -> int:
    """How many containers may be of a runtime's pods: 0 only where it has none.

    + pods: what :class:`Pods` returns
    + runtime: ``containerd``, ``crio`` or ``docker``
    + driver: the driver that placed them

    CRI-O's are counted exactly. Of containerd and Docker those count too that may be of either.

    Example: a driver is not changed under running pods while ``at_most(pods, "crio", "cgroupfs")``
    is not 0.
    """
    named = pods["runtimes"][runtime][driver]
    if runtime in _ALWAYS_NAMED:
        return named
    return named + pods["unnamed"][driver] + pods["outside"][driver]


class Pods(ProbeFact[PodsShape]):
    """
    Returns how many containers of pods run, by runtime and by the cgroup driver that placed them
    (:class:`PodsShape`).

    .. code:: python

        {
            "runtimes": {
                "containerd": {"systemd": 12, "cgroupfs": 0},
                "crio": {"systemd": 0, "cgroupfs": 0},
                "docker": {"systemd": 0, "cgroupfs": 0},
            },
            "unnamed": {"systemd": 0, "cgroupfs": 0},
            "outside": {"systemd": 0, "cgroupfs": 0},
        }

    Pause containers count. The count is from the names in the cgroup tree, so it is the same for
    every runtime, and it is there when the runtime does not answer. It leaves out what is two
    folders deep or more, other than below ``kubepods``: there an LXC container names what it likes.
    What :class:`kubenode.facts.containerd.Containerd` counts is from containerd's own directory of
    tasks instead, which tells its pods from Docker's containers wherever they are.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.pods.Pods
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: Readings) -> PodsShape:
        return parse(readings[PROBE])
