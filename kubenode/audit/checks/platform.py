"""Whether a host can be a node at all; the deploy asks the same before it changes anything."""

from __future__ import annotations

from kubenode.audit.checks.check import (
    Check,
    Subject,
    Verdict,
    met,
    not_applicable,
    unknown,
    violated,
)
from kubenode.audit.checks.references import PACKAGES
from kubenode.facts.platform import PACKAGE_MANAGERS
from kubenode.linux import image_based


def _linux(subject: Subject) -> Verdict:
    kernel = subject.platform["kernel"]
    if kernel is None:
        return unknown("its kernel does not say what it is")
    return met(kernel) if kernel == "Linux" else violated(f"its kernel is {kernel}")


def _root(subject: Subject) -> Verdict:
    uid = subject.platform["uid"]
    if uid == 0:
        return met("root")
    who = "an unknown user" if uid is None else f"uid {uid}"
    if subject.platform["sudo"]:
        return violated(
            f"commands run as {who}, not as root, and sudo would let it",
        )
    return violated(f"commands run as {who}, not as root")


def _packages(subject: Subject) -> Verdict:
    platform = subject.platform
    if why := image_based.why_no_packages(platform["image"], platform["usr"]):
        return violated(why)
    if platform["usr"] is None:
        return unknown("it cannot be told whether /usr is mounted read-only")
    return met("/usr can be written to")


def _package_manager(subject: Subject) -> Verdict:
    platform = subject.platform
    if image_based.why_no_packages(platform["image"], platform["usr"]):
        return not_applicable(str(PACKAGES))
    manager = platform["package_manager"]
    if manager is None:
        return violated(f"it has no known package manager ({', '.join(PACKAGE_MANAGERS)})")
    return met(manager)


def _systemd(subject: Subject) -> Verdict:
    if subject.aim.cgroup_driver != "systemd":
        return not_applicable("for the systemd cgroup driver only")
    cgroups = subject.cgroups
    version = cgroups["systemd"]["version"]
    if cgroups["systemd"]["running"]:
        return met(f"systemd {version}" if version else "systemd")
    return violated(f"PID 1 is {cgroups['init'] or 'unknown'}")


CHECKS = (
    Check(
        id="platform.linux",
        title="The host runs Linux",
        severity="fail",
        expected="the Linux kernel",
        why="A node that runs Linux containers needs the Linux kernel.",
        judge=_linux,
        remedy="use a host that runs Linux",
        mirrors=("kubeadm: SystemVerification (OS)",),
        sources=(
            "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/"
            "install-kubeadm/#before-you-begin",
        ),
    ),
    Check(
        id="platform.root",
        title="The host is looked at as root",
        severity="warn",
        expected="commands run as root",
        why="Without root some files and sockets cannot be read: checks that need them say "
        "unknown, and nothing can be changed.",
        judge=_root,
        remedy="run with --sudo, or set _sudo = True",
        mirrors=("kubeadm: IsPrivilegedUser",),
    ),
    Check(
        id="platform.packages",
        title="Packages can change the host's system",
        severity="warn",
        expected="a system made of packages, with a /usr that can be written to",
        why="Flatcar, Fedora CoreOS, bootc, SUSE Linux Micro, Talos, Bottlerocket, NixOS and their "
        "like are replaced as a whole, or changed by a configuration of their own. Such a host can "
        "be a node; kubenode audits it, and cannot prepare it: what it installs would fail, or be "
        "gone after the next update.",
        judge=_packages,
        remedy="put the runtime and its files into the image or its configuration (Ignition, a "
        "system extension, transactional-update); where only /usr is read-only, mount it "
        "read-write",
        sources=(
            "https://www.freedesktop.org/software/systemd/man/latest/os-release.html",
            "https://www.flatcar.org/docs/latest/container-runtimes/",
            "https://docs.fedoraproject.org/en-US/fedora-coreos/",
        ),
    ),
    Check(
        id="platform.package-manager",
        title="The host has a package manager that kubenode knows",
        severity="warn",
        expected=" or ".join(PACKAGE_MANAGERS),
        why="containerd.installed installs and holds packages with apt, dnf or zypper. A host "
        "without one of them can be a node, but somebody else has to install its runtime.",
        judge=_package_manager,
        remedy="install the runtime yourself, and use the other operations one by one",
    ),
    Check(
        id="platform.systemd",
        title="systemd is PID 1",
        severity="fail",
        expected="systemd as PID 1, which the systemd cgroup driver needs",
        why="The systemd cgroup driver asks systemd to make each pod's slice and scope. Without "
        "systemd no pod starts; kubelet and containerd are services of it, too.",
        judge=_systemd,
        remedy="boot the host with systemd, or set kubenode_cgroup_driver to cgroupfs",
        sources=(
            "https://kubernetes.io/docs/setup/production-environment/container-runtimes/"
            "#cgroup-drivers",
        ),
    ),
)
