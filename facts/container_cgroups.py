"""Where in the cgroup tree running containers really are."""

from __future__ import annotations

from typing import TypedDict

from kubenode.facts import pods
from kubenode.linux import cgroups
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

_MOST_SHOWN = 20


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


def parse(reading: Reading) -> ContainerCgroupsShape:
    """The shape from what the host sent."""
    containers = [each for each in pods.containers(reading) if each.is_kubelets]
    misplaced = sorted(each.cgroup for each in containers if cgroups.is_misplaced(each.cgroup))
    placed = [each.driver for each in containers if not cgroups.is_misplaced(each.cgroup)]
    return {
        "containers": len(containers),
        "misplaced": misplaced[:_MOST_SHOWN],
        "misplaced_count": len(misplaced),
        "systemd": placed.count("systemd"),
        "cgroupfs": placed.count("cgroupfs"),
    }


class ContainerCgroups(ProbeFact[ContainerCgroupsShape]):
    """
    Returns where running containers are in the cgroup tree (:class:`ContainerCgroupsShape`).

    .. code:: python

        {
            "containers": 3,
            "misplaced": ["/system.slice/kubepods-pod1.slice:cri-containerd:fe3f6881603f..."],
            "misplaced_count": 1,
            "systemd": 2,
            "cgroupfs": 0,
        }

    A kubelet with the systemd driver over a runtime with cgroupfs logs no error: its pods run, in a
    cgroup beside the slice that has their limits.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.container_cgroups.ContainerCgroups
    """

    def command(self) -> str:
        return self.asking({pods.PROBE: pods.script()})

    def parse(self, readings: Readings) -> ContainerCgroupsShape:
        return parse(readings[pods.PROBE])
