"""The kernel: its version, and what it was built with."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.version import Version

from kubenode.audit.checks.check import Check, Evidence, Subject, Verdict, met, unknown, violated
from kubenode.audit.checks.kubernetes import kernel_version
from kubenode.linux.kernel_config import OPTIONAL, REQUIRED

_LONG_TERM = ((5, 4), (5, 10), (5, 15))


def _version(subject: Subject) -> Verdict:
    version = kernel_version(subject)
    found = f"Linux {subject.machine['kernel']}"
    if version is None:
        return unknown("the kernel's release is not a version")
    if version.major >= 6 or version.release[:2] in _LONG_TERM:
        return met(found)
    if version >= Version("5.4"):
        return violated(
            f"{found}: no long-term series of kernel.org, a distribution may maintain it",
            severity="warn",
        )
    return violated(found)


def _nftables(subject: Subject) -> Verdict:
    version = kernel_version(subject)
    if version is None:
        return unknown("the kernel's release is not a version")
    found = f"Linux {subject.machine['kernel']}"
    return met(found) if version >= Version("5.13") else violated(found)


def _options(subject: Subject, names: Iterable[str]) -> Verdict:
    config = subject.kernel_config
    options = config["options"]
    off = [name for name in names if options.get(name) == "n"]
    unclear = [name for name in names if name not in options]
    place = config["file"] or "no kernel configuration on the host"
    if off:
        evidence = (Evidence("not set", place),) if config["file"] else ()
        return violated(f"off: {', '.join(off)}", *evidence)
    if unclear:
        return unknown(f"{place}; not known: {', '.join(unclear)}")
    return met(f"all set ({place})")


_VALIDATORS = "https://github.com/kubernetes/system-validators"

CHECKS = (
    Check(
        id="kernel.version",
        title="The kernel is one that Kubernetes supports",
        severity="fail",
        expected="Linux 5.4, 5.10, 5.15, or 6 and later",
        why="kubeadm refuses other kernels. A distribution may maintain one of them (5.14 of "
        "Enterprise Linux 9): then it is a warning here.",
        judge=_version,
        remedy="upgrade the kernel and reboot",
        mirrors=("kubeadm: SystemVerification (kernel version)",),
        sources=(_VALIDATORS,),
    ),
    Check(
        id="kernel.nftables",
        title="The kernel is new enough for kube-proxy's nftables mode",
        severity="fail",
        expected="Linux 5.13 or later",
        why="kube-proxy in nftables mode refuses to start on older kernels.",
        judge=_nftables,
        remedy="upgrade the kernel and reboot, or use another mode of kube-proxy",
        profiles=frozenset({"nftables"}),
        sources=(
            "https://kubernetes.io/docs/reference/networking/virtual-ips/#proxy-mode-nftables",
        ),
    ),
    Check(
        id="kernel.config.required",
        title="The kernel has what Kubernetes requires",
        severity="fail",
        expected=f"{len(REQUIRED)} options, built in or as modules",
        why="Without one of them pods do not start, are not isolated, or are not reached: "
        f"{', '.join(REQUIRED)}.",
        judge=lambda subject: _options(subject, REQUIRED),
        remedy="use a kernel that has them",
        mirrors=("kubeadm: SystemVerification (kernel config)", "k0s: kernel config"),
        sources=(_VALIDATORS,),
    ),
    Check(
        id="kernel.config.optional",
        title="The kernel has what Kubernetes can make use of",
        severity="warn",
        expected=f"{', '.join(OPTIONAL)}, built in or as modules",
        why="Without CFS_BANDWIDTH there are no CPU limits, without SECCOMP no seccomp profiles, "
        "without CGROUP_HUGETLB no huge page limits.",
        judge=lambda subject: _options(subject, OPTIONAL),
        remedy="use a kernel that has them",
        mirrors=("kubeadm: SystemVerification (kernel config)",),
        sources=(_VALIDATORS,),
    ),
)
