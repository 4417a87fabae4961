"""Readiness for a Kubernetes release."""

from __future__ import annotations

from datetime import date

from packaging.version import InvalidVersion, Version

from kubenode import release_facts
from kubenode.audit.checks.check import (
    Check,
    Subject,
    Verdict,
    met,
    not_applicable,
    unknown,
    violated,
)
from kubenode.audit.checks.containerd_files import version_of
from kubenode.audit.checks.release import aimed_at
from kubenode.audit.checks.runtime_in_use import of_containerd
from kubenode.facts.containerd import ContainerdShape
from kubenode.kubelet import releases

_KEY_DAYS = 60
_NONE = "no release asked for, and no kubelet: use --for or kubenode_kubernetes_version"


def _known(subject: Subject) -> Verdict:
    minor = aimed_at(subject)
    if minor is None:
        return not_applicable(_NONE)
    text = f"{minor[0]}.{minor[1]}"
    if releases.is_newer_than_known(minor):
        return violated(
            f"Kubernetes {text} is newer than what kubenode knows; it is judged as "
            f"{releases.RELEASES[-1]}"
        )
    return met(f"Kubernetes {text}")


def _facts_current(subject: Subject) -> Verdict:
    found = f"they are from {release_facts.AS_OF}"
    if subject.aim.today > release_facts.GOOD_UNTIL:
        return violated(f"{found}, and good until {release_facts.GOOD_UNTIL}")
    return met(found)


def _containerd(subject: Subject, containerd: ContainerdShape) -> Verdict:
    minor = aimed_at(subject)
    if minor is None:
        return not_applicable(_NONE)
    release = releases.release_of(minor)
    if release is None:
        return not_applicable(f"Kubernetes {minor[0]}.{minor[1]} is older than the table")
    version = version_of(containerd)
    expected = releases.containerd_wanted(release)
    asked = f"{minor[0]}.{minor[1]}"
    if version is None:
        return unknown("containerd does not say its version", expected=expected)
    if releases.supports_containerd(release, version):
        return met(f"containerd {version} for Kubernetes {asked}", expected=expected)
    return violated(f"containerd {version} for Kubernetes {asked}", expected=expected)


def _kubelet(subject: Subject) -> Verdict:
    asked, kubelet = subject.aim.kubernetes, subject.kubelet
    if asked is None:
        return not_applicable("no release asked for: use --for or kubenode_kubernetes_version")
    oldest = max(0, asked[1] - releases.KUBELET_SKEW)
    expected = f"kubelet {asked[0]}.{oldest} to {asked[0]}.{asked[1]}"
    if kubelet["binary"] is None:
        return not_applicable("kubelet is not installed")
    if kubelet["version"] is None:
        return unknown("kubelet does not say its version", expected=expected)
    major, minor, _ = kubelet["version"].split(".", 2)
    found = f"kubelet {kubelet['version']} for Kubernetes {asked[0]}.{asked[1]}"
    if releases.supports_kubelet(asked, (int(major), int(minor))):
        return met(found, expected=expected)
    return violated(found, expected=expected)


def _supported(subject: Subject) -> Verdict:
    version = subject.kubelet["version"]
    if version is None:
        return not_applicable("no kubelet that says its release")
    major, minor, _ = version.split(".", 2)
    release = (int(major), int(minor))
    newest = max(releases.END_OF_LIFE)
    if release > newest:
        return met(f"{version}, newer than the table")
    end = releases.END_OF_LIFE.get(release)
    if end is None:
        oldest = "{}.{}".format(*min(releases.END_OF_LIFE))
        return violated(f"kubelet {version}; upstream's support ended before {oldest}'s")
    left = (end - subject.aim.today).days
    found = f"kubelet {version}; upstream's support of {major}.{minor}"
    if left < 0:
        return violated(f"{found} ended on {end}")
    return violated(f"{found} ends on {end}") if left < _KEY_DAYS else met(f"{found} ends on {end}")


def _kernel(subject: Subject) -> Verdict:
    minor = aimed_at(subject)
    if minor is None:
        return not_applicable(_NONE)
    release = releases.release_of(minor)
    if release is None:
        return not_applicable(f"Kubernetes {minor[0]}.{minor[1]} is older than the table")
    version = kernel_version(subject)
    expected = f"Linux {release.kernel} or later"
    if version is None:
        return unknown("the kernel's release is not a version", expected=expected)
    found = f"Linux {subject.machine['kernel']} for Kubernetes {minor[0]}.{minor[1]}"
    if version >= Version(release.kernel):
        return met(found, expected=expected)
    return violated(found, expected=expected)


def _repository_key(subject: Subject) -> Verdict:
    keys = subject.kubernetes_keys["keys"]
    if not keys:
        return not_applicable("the host has no key of Kubernetes' repositories")
    found: list[str] = []
    wrong: list[str] = []
    for path, key in keys.items():
        if key["error"] is not None:
            return unknown(f"{path}: {key['error']}")
        if key["expires"] is None:
            found.append(f"{path} does not expire")
            continue
        try:
            left = (date.fromisoformat(key["expires"]) - subject.aim.today).days
        except ValueError:
            return unknown(f"{path} expires on {key['expires']}, which is no day")
        word = "expired" if left < 0 else "expires"
        (wrong if left < _KEY_DAYS else found).append(f"{path} {word} on {key['expires']}")
    return violated("; ".join(wrong)) if wrong else met("; ".join(found))


def kernel_version(subject: Subject) -> Version | None:
    """The running kernel's version, without what a distribution appends."""
    release = subject.machine["kernel"] or ""
    try:
        return Version(".".join(release.split("-")[0].split("+")[0].split(".")[:3]))
    except InvalidVersion:
        return None


CHECKS = (
    Check(
        id="kubernetes.release-known",
        title="The release is one that kubenode knows",
        severity="warn",
        expected="a release of kubenode's table",
        why="What a release needs is in a table. For a newer one the newest row is the best guess.",
        judge=_known,
        remedy="upgrade kubenode, or read the release's notes",
    ),
    Check(
        id="kubernetes.facts-current",
        title="What kubenode knows of releases is not out of date",
        severity="warn",
        expected=f"tables no older than {release_facts.GOOD_FOR.days} days",
        why="Which containerd a Kubernetes release asks for, and until when upstream supports a "
        "release, is in tables of kubenode. Both projects make a minor release every four months, "
        "and ends of support are moved: with old tables the other checks judge by what was once "
        "so.",
        judge=_facts_current,
        remedy="upgrade kubenode; the day of the host that runs the audit may be wrong, too",
        sources=(
            "https://containerd.io/releases/",
            "https://kubernetes.io/releases/",
        ),
    ),
    Check(
        id="kubernetes.containerd",
        title="containerd is one of those recommended for the release",
        severity="warn",
        expected="a containerd release of upstream's table",
        why="containerd's table names the releases that were tested the most with each Kubernetes "
        "release. It is a recommendation: 1.7 has run a whole cluster of 1.36, and kubeadm only "
        "warns of a runtime that does not tell kubelet its cgroup driver (1.x). An older release "
        "can lack what kubelet asks for.",
        judge=of_containerd(_containerd),
        remedy="drain the node and upgrade containerd by containerd.installed or prepare: "
        "kubenode_kubernetes_version asks for one "
        "that fits, kubenode_containerd_version for one by name, and kubenode_containerd_source "
        "says which source has it",
        operation="containerd.installed",
        mirrors=("kubeadm: ContainerRuntimeVersion (a warning there, from 1.35 on)",),
        sources=("https://containerd.io/releases/#kubernetes-support",),
    ),
    Check(
        id="kubernetes.kubelet",
        title="kubelet is of a release that the cluster takes",
        severity="fail",
        expected="kubelet at most three minor releases older than the cluster, and never newer",
        why="kubeadm refuses a kubelet that is newer than the control plane or more than three "
        "minor releases older, and the API they share is not kept for longer.",
        judge=_kubelet,
        remedy='kubernetes.installed(version="1.37") installs kubelet of the cluster\'s release, '
        "and so does prepare with kubenode_kubernetes_source; one minor release at a time",
        operation="kubernetes.installed",
        mirrors=("kubeadm: KubeletVersion",),
        sources=("https://kubernetes.io/releases/version-skew-policy/#kubelet",),
    ),
    Check(
        id="kubernetes.supported",
        title="Upstream still fixes this release of Kubernetes, for a while",
        severity="warn",
        expected=f"a release that is supported for {_KEY_DAYS} days and more",
        why="A minor release gets fixes for about 14 months. No minor release is skipped by an "
        "upgrade, so who is late has several before them.",
        judge=_supported,
        remedy='kubernetes.installed(version="1.37"), or prepare with '
        "kubenode_kubernetes_version and kubenode_kubernetes_source, takes a node one minor "
        "release on; the control plane first",
        operation="kubernetes.installed",
        sources=("https://kubernetes.io/releases/",),
    ),
    Check(
        id="kubernetes.repository-key",
        title="The key of Kubernetes' repository stays good",
        severity="warn",
        expected=f"keys that are good for {_KEY_DAYS} days and more",
        why="The key is prolonged in place, with the same fingerprint: a host that has the old "
        "copy gets no package any more once that has expired, and dnf does not fetch it again.",
        judge=_repository_key,
        remedy='kubernetes.installed(version="1.37"), with the release that is installed, writes '
        "the key as it is now, and so does prepare with kubenode_kubernetes_source",
        operation="kubernetes.installed",
        sources=("https://github.com/kubernetes/release/issues/3818",),
    ),
    Check(
        id="kubernetes.kernel",
        title="The kernel is new enough for the release",
        severity="fail",
        expected="a kernel that the Kubernetes release supports",
        why="Releases that need cgroup v2 need a kernel in which it is complete.",
        judge=_kernel,
        remedy="upgrade the kernel and reboot",
        mirrors=("kubeadm: SystemVerification (kernel)",),
        sources=("https://kubernetes.io/docs/concepts/architecture/cgroups/",),
    ),
)
