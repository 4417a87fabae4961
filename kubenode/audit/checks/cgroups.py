"""Control groups: the version, and the controllers a node needs."""

from __future__ import annotations

from kubenode.audit.checks.check import (
    Check,
    PartMissing,
    Subject,
    Verdict,
    met,
    not_applicable,
    unknown,
    violated,
)
from kubenode.audit.checks.references import CGROUP_VERSION
from kubenode.audit.checks.release import aimed_at
from kubenode.kubelet import releases

NEEDED = ("cpu", "cpuset", "memory", "pids")


def _version(subject: Subject) -> Verdict:
    mode = subject.cgroups["mode"]
    if mode == "v2":
        return met("v2")
    if mode == "unknown":
        return unknown("its cgroup version cannot be told: /proc/self/mounts cannot be read")
    boot = "boot with systemd.unified_cgroup_hierarchy=1"
    if mode == "none":
        return violated("it has no cgroups", remedy="mount cgroup2 at /sys/fs/cgroup")
    found = f"it runs cgroup {mode}"
    minor = aimed_at(subject)
    release = minor and releases.release_of(minor)
    if not minor or not release or not release.needs_cgroup_v2:
        return violated(
            f"{found}, which kubelet 1.35 and later refuse", remedy=boot, severity="warn"
        )
    needs = f"Kubernetes {minor[0]}.{minor[1]} needs v2"
    if _allows_v1(subject):
        return violated(
            f"{found}: {needs}, and kubelet's failCgroupV1 is false", remedy=boot, severity="warn"
        )
    return violated(f"{found} and {needs}", remedy=boot)


def _allows_v1(subject: Subject) -> bool:
    try:
        return subject.kubelet["fail_cgroup_v1"] is False
    except PartMissing:
        return False


def _controllers(subject: Subject) -> Verdict:
    cgroups = subject.cgroups
    if cgroups["mode"] in ("none", "unknown"):
        return not_applicable(f"needs a cgroup version, {CGROUP_VERSION}")
    missing = [name for name in NEEDED if name not in cgroups["controllers"]]
    if not missing:
        return met(", ".join(NEEDED))
    there = ", ".join(cgroups["controllers"]) or "none"
    found = f"missing: {', '.join(missing)}; the host has {there}"
    if cgroups["container"]:
        return violated(
            f"{found}: it is a container ({cgroups['container']}), with what that is given",
            severity="warn",
            remedy="give the container its controllers (cgroup2 on the machine, delegation)",
        )
    return violated(found)


CHECKS = (
    Check(
        id="cgroup.version",
        title="The host runs cgroup v2",
        severity="fail",
        expected="cgroup2 at /sys/fs/cgroup",
        why="kubelet refuses to start on cgroup v1 from Kubernetes 1.35 on, unless "
        "failCgroupV1 is set to false; before that v1 is in maintenance. systemd 258 and later do "
        "not boot with it.",
        judge=_version,
        remedy="boot with systemd.unified_cgroup_hierarchy=1",
        mirrors=("kubeadm: SystemVerification (cgroups)", "k0s: CgroupSystem"),
        sources=(
            "https://kubernetes.io/docs/concepts/architecture/cgroups/",
            "https://github.com/kubernetes/enhancements/issues/5573",
        ),
    ),
    Check(
        id="cgroup.controllers",
        title="The cgroup controllers that pods' limits need are there",
        severity="fail",
        expected=", ".join(NEEDED),
        why="Without a controller the limits it stands for are not applied, or the container does "
        "not start. Boot parameters such as cgroup_disable=memory (Raspberry Pi OS) turn them off.",
        judge=_controllers,
        remedy="remove cgroup_disable= from the kernel command line, or use a kernel that has them",
        mirrors=("kubeadm: SystemVerification (cgroups)", "k0s: cgroup controllers"),
        sources=("https://docs.kernel.org/admin-guide/cgroup-v2.html",),
    ),
)
