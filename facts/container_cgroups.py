"""Where in the cgroup tree running containers really are."""

from __future__ import annotations

import re
from typing import TypedDict

from kubenode import probe
from kubenode.facts.probe_fact import ProbeFact

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
        f"""
paths=$(
  cat /proc/[0-9]*/cgroup | grep -E 'kubepods|cri-containerd|crio-' | sort -u |
    head -c {_MOST_BYTES}
)
if [ "${{#paths}}" -lt {_MOST_BYTES - 1} ]; then said paths "$paths"; else unreadable paths; fi
""",
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
        if (container := _container(path)) is not None:
            containers.setdefault(container, path)
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


def _container(path: str) -> str | None:
    """The id of the container a cgroup is of, None when it is of something else."""
    below_kubepods = False
    folders = path.split("/")
    for number, folder in enumerate(folders):
        found = re.search(r"([0-9a-f]{32,64})(?:\.scope)?\Z", folder[-_LONGEST_END:])
        if found:
            before = folder.removesuffix(found[0])
            slice_, _, prefix = before.removesuffix(":").partition(".slice:")
            if (
                before.endswith(_PREFIXES)
                or (not before and below_kubepods)
                or (before.endswith(":") and "kubepods" in slice_ and ":" not in prefix)
            ):
                return found[1]
        below_kubepods = below_kubepods or "kubepods" in folders[1:number]
    return None


_PREFIXES = ("cri-containerd-", "cri-containerd:", "crio-", "docker-")
_LONGEST_END = 80


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
