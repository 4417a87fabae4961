"""Where in the cgroup tree running containers really are."""

from __future__ import annotations

import re
from typing import TypedDict

from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact

PROBE = "container-cgroups"

_MOST_SHOWN = 20
_MOST_BYTES = 2 * 1024 * 1024


class ContainerCgroupsShape(TypedDict):
    """What :class:`ContainerCgroups` returns."""

    containers: int
    """Containers of a CRI runtime that have a process."""
    misplaced: list[str]
    """Their paths outside ``kubepods.slice`` (systemd driver) or ``/kubepods`` (cgroupfs) that
    name a pod's slice, such as
    ``/system.slice/kubepods-pod1.slice:cri-containerd:ID``: the runtime and kubelet use different
    drivers. At most 20."""
    misplaced_count: int
    systemd: int
    """Those a systemd driver placed: ``/kubepods.slice/.../cri-containerd-ID.scope``."""
    cgroupfs: int
    """Those a cgroupfs driver placed: ``/kubepods/.../ID``."""


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(
        host_script.read(
            __file__, "container_cgroups.sh", MOST_BYTES=_MOST_BYTES, LEAST_CUT=_MOST_BYTES - 1
        ),
        programs=("sort",),
        answers=("paths",),
    )


def parse(reading: probe.Reading) -> ContainerCgroupsShape:
    """The shape from what the host sent."""
    lines = reading.known("paths").text("paths")
    # v1 has a line for each hierarchy: the same path, or not
    paths = sorted({line.split(":", 2)[2] for line in lines if line.count(":") >= 2})
    containers: dict[str, str] = {}
    for path in paths:
        if (found := _container(path)) is not None:
            container, own = found
            containers.setdefault(container, own)
    misplaced, systemd, cgroupfs = [], 0, 0
    for path in containers.values():
        if _is_misplaced(path):
            misplaced.append(path)
        elif path.startswith("/kubepods/"):
            cgroupfs += 1
        else:
            systemd += 1
    return {
        "containers": len(containers),
        "misplaced": misplaced[:_MOST_SHOWN],
        "misplaced_count": len(misplaced),
        "systemd": systemd,
        "cgroupfs": cgroupfs,
    }


_RUNTIMES = (
    r"(?:containerd|crio|docker|cri-docker|kubelet|k3s|k3s-agent|rke2-server|rke2-agent|k0s[a-z]*)"
)
_CONTAINER = re.compile(
    # systemd hands down subtrees of services and scopes only (Delegate=), and a user's or a
    # container's processes are in one: what names there say is theirs. Slices are root's, and so is
    # what is beside them; runc's cgroupfs driver on v1 works below its runtime's own service.
    rf"((?:/[^/]+\.slice)*(?:/system\.slice/{_RUNTIMES}\.service|/kubepods(?:/[^/.]+)*?)?"
    r"/(?:[^/]*kubepods[^/]*\.slice:[^/:]*:|cri-containerd[-:]|crio-|docker-)?"
    r"([0-9a-f]{32,64})(?:\.scope)?)(?:/.*)?"
)


def _container(path: str) -> tuple[str, str] | None:
    """The id of the container a cgroup is of, and that container's own cgroup; None when it is of
    something else, or of what a user or a container may have named so."""
    # a path is at most 4096 characters long, and a name 255: more makes the pattern slow only
    if len(path) > 4096 or any(len(name) > 255 for name in path.split("/")):
        return None
    found = _CONTAINER.fullmatch(path)
    if not found or "kubepods" not in found[1]:
        return None
    return found[2], found[1]


def _is_misplaced(path: str) -> bool:
    # runc's cgroupfs driver takes "SLICE:PREFIX:ID", which is meant for systemd, for a path
    if any(_is_slice_and_id(folder) for folder in path.split("/")):
        return True
    # ... and its systemd driver makes a scope where a path of the cgroupfs driver was asked for
    return path.startswith("/system.slice/") and "kubepods" in path


def _is_slice_and_id(folder: str) -> bool:
    """Whether a folder's name is ``kubepods...slice:PREFIX:ID``."""
    before, _, rest = folder.rpartition(".slice:")
    return "kubepods" in before and ":" in rest


class ContainerCgroups(ProbeFact[ContainerCgroupsShape]):
    """
    Returns where running containers are in the cgroup tree (:class:`ContainerCgroupsShape`).

    A kubelet with the systemd driver over a runtime with cgroupfs logs no error: its pods run, in a
    cgroup beside the slice that has their limits.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.container_cgroups.ContainerCgroups
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: probe.Readings) -> ContainerCgroupsShape:
        return parse(readings[PROBE])
