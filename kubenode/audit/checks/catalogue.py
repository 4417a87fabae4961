"""Every check, and one by its id.

A deploy judges by two topics alone, and this takes all of them, and all facts, along.
"""

from __future__ import annotations

from kubenode.audit.checks import (
    certificates,
    cgroup_drivers,
    cgroups,
    containerd,
    containerd_registries,
    crictl,
    crio,
    docker,
    kernel,
    kernel_modules,
    kubeadm,
    kubelet,
    kubernetes,
    machine,
    network,
    platform,
    runtime,
    swap,
    sysctls,
)
from kubenode.audit.checks.check import Check

CHECKS: tuple[Check, ...] = (
    *platform.CHECKS,
    *kernel_modules.CHECKS,
    *sysctls.CHECKS,
    *swap.CHECKS,
    *cgroups.CHECKS,
    *cgroup_drivers.CHECKS,
    *kubernetes.CHECKS,
    *runtime.CHECKS,
    *containerd.CHECKS,
    *containerd_registries.CHECKS,
    *crio.CHECKS,
    *docker.CHECKS,
    *crictl.CHECKS,
    *kubelet.CHECKS,
    *kubeadm.CHECKS,
    *certificates.CHECKS,
    *kernel.CHECKS,
    *machine.CHECKS,
    *network.CHECKS,
)
"""Every check, topic by topic, in the order reports show them."""

RENAMED = {
    f"containerd.{name}": f"runtime.{name}"
    for name in (
        "installed", "supported", "config-readable", "cri-serving", "config-applied", "enabled",
        "daemon-reload", "pause-image", "held", "nofile", "cni-plugins",
    )
}  # fmt: skip
"""Checks that had another id before the first release: old id to new."""

_BY_ID = {check.id: check for check in CHECKS}


def by_id(check_id: str) -> Check:
    """The check *check_id*; KeyError when there is none."""
    return _BY_ID[check_id]
