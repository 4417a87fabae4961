"""The machine: its size, disks, programs, clock and security modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from kubenode.audit.checks.check import (
    Check,
    Evidence,
    PartMissing,
    Subject,
    Verdict,
    met,
    not_applicable,
    unknown,
    violated,
)
from kubenode.audit.checks.release import aimed_at
from kubenode.audit.checks.runtime_in_use import in_use
from kubenode.facts import containerd
from kubenode.facts.file_systems import FileSystemShape
from kubenode.kubelet.releases import programs_of
from kubenode.runtimes.runtime import DOCKER

_FEWEST_CPUS = 2
_LEAST_MEMORY_MIB = 1700
_LEAST_FREE_PERCENT = 15
_LEAST_FREE_INODES_PERCENT = 5
_REQUIRED_PROGRAMS = ("umount", *programs_of(None).required)
"""Besides what kubeadm of an older release asks for; kubelet needs umount as it needs mount."""
_OPTIONAL_PROGRAMS = ("conntrack", "ethtool", "ip", "iptables", "nsenter", "socat", "tc", "touch")
_NO_UPPER_LAYER = frozenset(
    {"9p", "cifs", "ecryptfs", "exfat", "msdos", "nfs", "nfs4", "ntfs3", "overlay", "smb3", "vfat"}
)
"""File systems on which overlay cannot have its writable layer."""


def _cpus(subject: Subject) -> Verdict:
    cpus = subject.machine["cpus"]
    if cpus is None:
        return unknown("the host does not say how many CPUs it has")
    return met(f"{cpus} CPUs") if cpus >= _FEWEST_CPUS else violated(f"{cpus} CPU")


def _memory(subject: Subject) -> Verdict:
    memory = subject.machine["memory_kib"]
    if memory is None:
        return unknown("the host does not say how much memory it has")
    found = f"{memory // 1024} MiB"
    return met(found) if memory // 1024 >= _LEAST_MEMORY_MIB else violated(found)


def _images(subject: Subject) -> tuple[str, FileSystemShape] | Verdict:
    """Where images and containers are kept, and on which file system; a verdict where that cannot
    be told."""
    systems, usual = subject.machine["file_systems"], containerd.DEFAULT_ROOT
    runtime = in_use(subject)
    path = usual
    if not isinstance(runtime, Verdict):
        root = runtime.shape["data_root"]
        if root["path"] is None:
            why = root["error"] or "it is not known where images are kept"
            return not_applicable(f"{why}, {runtime.finding}") if runtime.finding else unknown(why)
        if root["file_system"] is not None:
            return root["path"], root["file_system"]
        if root["error"] is not None:
            return unknown(root["error"])
        path = root["path"]
    system = systems.get(path)
    return unknown("df does not answer") if system is None else (path, system)


def _in_use(subject: Subject) -> tuple[dict[str, FileSystemShape], Verdict | None]:
    """The file systems that pods, images and logs are on, by directory, and why there may be one
    more."""
    systems = dict(subject.machine["file_systems"])
    if not systems:
        return {}, unknown("df does not answer")
    try:
        images = _images(subject)
    except PartMissing as error:
        images = unknown(str(error))
    systems.pop(containerd.DEFAULT_ROOT, None)
    if isinstance(images, Verdict):
        return systems, images
    # where the usual directory stands among them
    logs = systems.pop("/var/log", None)
    systems[images[0]] = images[1]
    return systems | ({"/var/log": logs} if logs else {}), None


def _space(
    subject: Subject, judge: Callable[[dict[str, FileSystemShape]], tuple[list[str], str]]
) -> Verdict:
    """A verdict on all file systems in use.

    + judge: what is wrong with some, and what to say of them all
    """
    systems, not_known = _in_use(subject)
    bad, found = judge(systems)
    if bad:
        return violated("; ".join(bad))
    if not_known is not None:
        also = f"{found}; {not_known.found}" if systems else not_known.found
        return replace(not_known, found=also)
    return met(found)


def _disk(subject: Subject) -> Verdict:
    def judge(systems: dict[str, FileSystemShape]) -> tuple[list[str], str]:
        full, all_of_them = [], []
        for directory, system in systems.items():
            free = system["free_kib"] * 100 // max(system["size_kib"], 1)
            text = f"{directory} {free} % free"
            all_of_them.append(text)
            if free < _LEAST_FREE_PERCENT:
                full.append(f"{text} ({system['free_kib'] // 1024} MiB, on {system['mount']})")
        return full, "; ".join(all_of_them)

    return _space(subject, judge)


def _inodes(subject: Subject) -> Verdict:
    def judge(systems: dict[str, FileSystemShape]) -> tuple[list[str], str]:
        few = [
            f"{directory} {percent} % free (on {system['mount']})"
            for directory, system in systems.items()
            if (percent := system["free_inodes_percent"]) is not None
            and percent < _LEAST_FREE_INODES_PERCENT
        ]
        return few, "enough on every file system"

    return _space(subject, judge)


def _mount_options(subject: Subject) -> Verdict:
    images = _images(subject)
    if isinstance(images, Verdict):
        return images
    directory, system = images
    place = f"{directory} is on {system['mount']}"
    if system["kind"] is None:
        return unknown(f"{place}, of which the mount options are not known")
    if "noexec" in system["options"]:
        return violated(f"{place}, which is mounted noexec")
    return met(place)


def _programs(subject: Subject, names: Iterable[str]) -> Verdict:
    found = subject.machine["programs"]
    missing = [name for name in names if not found.get(name)]
    if missing:
        return violated(f"missing: {', '.join(missing)}")
    return met(", ".join(names))


def _required_programs(subject: Subject) -> Verdict:
    release = aimed_at(subject)
    names = _REQUIRED_PROGRAMS
    if release is not None:
        names = tuple(dict.fromkeys(("umount", "mount", *programs_of(release).required)))
    return replace(_programs(subject, names), expected=", ".join(names))


def _file_system(subject: Subject) -> Verdict:
    if other := subject.other_runtime:
        return not_applicable(f"the runtime is {other}")
    if subject.runtime_row is DOCKER:
        engine = subject.docker["engine"]
        if engine is None:
            return unknown("Docker Engine does not say how it keeps images")
        # overlayfs is containerd's store of images
        if engine["storage_driver"] not in ("overlay2", "overlayfs"):
            return not_applicable(f"the storage driver is {engine['storage_driver']}")
    else:
        snapshotter = subject.containerd["snapshotter"] or "overlayfs"
        if snapshotter != "overlayfs":
            return not_applicable(f"the snapshotter is {snapshotter}")
    images = _images(subject)
    if isinstance(images, Verdict):
        return images
    directory, system = images
    if system["kind"] is None:
        return unknown(f"{directory} is on {system['mount']}, of an unknown type")
    found = f"{directory} is on {system['mount']} ({system['kind']})"
    return violated(found) if system["kind"] in _NO_UPPER_LAYER else met(found)


def _clock(subject: Subject) -> Verdict:
    services = subject.machine["time_services"]
    if subject.machine["clock_synchronized"]:
        return met("synchronized" + (f" by {', '.join(services)}" if services else ""))
    if services:
        return met(f"{', '.join(services)} runs")
    if container := subject.cgroups["container"]:
        return not_applicable(f"the machine around this {container} container keeps the clock")
    return violated("no service that sets the clock runs")


def _security_modules(subject: Subject) -> Verdict:
    selinux, apparmor = subject.machine["selinux"], subject.machine["apparmor"]
    if selinux is None or apparmor is None:
        return unknown("the state of SELinux and AppArmor cannot be read")
    found = f"SELinux {selinux}, AppArmor {'on' if apparmor else 'off'}"
    if apparmor and not subject.machine["programs"].get("apparmor_parser"):
        return violated(f"{found}, and there is no apparmor_parser")
    return met(found)


def _reboot(subject: Subject) -> Verdict:
    if subject.machine["reboot_required"]:
        return violated("an upgrade asks for a reboot", Evidence("", "/run/reboot-required"))
    return met("none asked for")


_KUBEADM = (
    "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/install-kubeadm/",
)
_NO_LONGER_REQUIRED = "https://github.com/kubernetes/kubernetes/pull/129131"
_EVICTION = ("https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/",)

CHECKS = (
    Check(
        id="machine.cpus",
        title="A control plane has two CPUs",
        severity="fail",
        expected=f"at least {_FEWEST_CPUS} CPUs",
        why="kubeadm refuses a control plane with fewer.",
        judge=_cpus,
        remedy="give the machine more CPUs",
        profiles=frozenset({"control-plane"}),
        mirrors=("kubeadm: NumCPU",),
        sources=_KUBEADM,
    ),
    Check(
        id="machine.memory",
        title="A control plane has enough memory",
        severity="fail",
        expected=f"at least {_LEAST_MEMORY_MIB} MiB",
        why="kubeadm refuses a control plane with less.",
        judge=_memory,
        remedy="give the machine more memory",
        profiles=frozenset({"control-plane"}),
        mirrors=("kubeadm: Mem",),
        sources=_KUBEADM,
    ),
    Check(
        id="machine.disk",
        title="There is room on the disks",
        severity="warn",
        expected=f"at least {_LEAST_FREE_PERCENT} % free for pods, images and logs",
        why="Below 15 % on the images' file system and 10 % on kubelet's, kubelet evicts pods.",
        judge=_disk,
        remedy="remove what is not needed, or make the file system larger",
        mirrors=("k0s: data dir free space",),
        sources=_EVICTION,
    ),
    Check(
        id="machine.inodes",
        title="There are inodes left on the disks",
        severity="warn",
        expected=f"at least {_LEAST_FREE_INODES_PERCENT} % free",
        why="Below 5 % kubelet evicts pods, and df without -i shows a disk with room.",
        judge=_inodes,
        remedy="remove what is not needed, or make the file system again with more inodes",
        sources=_EVICTION,
    ),
    Check(
        id="machine.mount-options",
        title="Programs in images may run",
        severity="fail",
        expected="no noexec where /var/lib/containerd is",
        why="Images are unpacked there, or in the root that containerd's files name; hardening "
        "guides mount /var noexec, and then no container starts.",
        judge=_mount_options,
        remedy="remount with exec, and correct /etc/fstab; or give /var/lib/containerd its own "
        "file system",
    ),
    Check(
        id="machine.file-system",
        title="Images can be unpacked where containerd keeps them",
        severity="fail",
        expected="a file system that overlay can write to, such as ext4 or xfs",
        why="The overlayfs snapshotter writes to the file system of /var/lib/containerd, or of the "
        "root that containerd's files name. On an overlay (a container's own root) or a network "
        "file system the kernel refuses that mount, and no container starts.",
        judge=_file_system,
        remedy="give /var/lib/containerd a file system of its own, or use another snapshotter "
        "(kubenode_snapshotter)",
        mirrors=("k0s: data dir file system",),
        sources=("https://docs.kernel.org/filesystems/overlayfs.html#upper-and-lower",),
    ),
    Check(
        id="machine.programs.required",
        title="The programs kubelet and kubeadm cannot do without are there",
        severity="fail",
        expected=", ".join(_REQUIRED_PROGRAMS),
        why="kubelet mounts pods' volumes with mount and umount, and holds block devices with "
        "losetup; kubeadm copies etcd's directory with cp. Before 1.33 kubeadm asked for ip, "
        "iptables and nsenter in place of losetup and cp, and before 1.32 for conntrack too.",
        judge=_required_programs,
        remedy="packages.prerequisites() installs what is missing, and so does prepare where "
        "kubenode_kubernetes_version is set (mount, util-linux and coreutils; for kubeadm before "
        "1.33 also iproute2 and iptables, before 1.32 conntrack)",
        operation="packages.prerequisites",
        mirrors=(
            "kubeadm: FileExisting-mount, -losetup, -cp",
            "kubeadm (before 1.33): FileExisting-ip, -iptables, -nsenter",
            "kubeadm (before 1.32): FileExisting-conntrack",
            "k0s: mount and umount in PATH",
        ),
        sources=(*_KUBEADM, _NO_LONGER_REQUIRED),
    ),
    Check(
        id="machine.programs.optional",
        title="The programs that kubelet, kube-proxy and CNI plugins make use of are there",
        severity="warn",
        expected=", ".join(_OPTIONAL_PROGRAMS),
        why="CNI plugins call iptables, kube-proxy before 1.32 calls conntrack, and socat serves "
        "`kubectl port-forward` of some runtimes. Who debugs a node looks for ip, tc, ethtool and "
        "nsenter. kubeadm looked for all of them once, and from 1.33 on for none but touch.",
        judge=lambda subject: _programs(subject, _OPTIONAL_PROGRAMS),
        remedy="packages.prerequisites() installs what is missing, and so does prepare where "
        "kubenode_kubernetes_version is set (conntrack, ethtool, iproute2, iptables, socat and "
        "util-linux)",
        operation="packages.prerequisites",
        mirrors=(
            "kubeadm: FileExisting-touch (a warning there)",
            "kubeadm (before 1.33): FileExisting-ethtool, -tc (warnings there)",
            "kubeadm (before 1.32): FileExisting-socat, -ebtables (warnings there)",
        ),
        sources=(*_KUBEADM, _NO_LONGER_REQUIRED),
    ),
    Check(
        id="machine.clock",
        title="Something keeps the clock right",
        severity="warn",
        expected="chrony, systemd-timesyncd, or another service that sets the clock",
        why="Certificates and leases break when nodes' clocks differ. A clock that is kept by a "
        "hypervisor is right too, and cannot be seen from here.",
        judge=_clock,
        remedy="install chrony, or enable systemd-timesyncd",
        mirrors=("kubespray: time synchronization",),
    ),
    Check(
        id="machine.security-modules",
        title="The security modules have what they need",
        severity="warn",
        expected="apparmor_parser where the kernel has AppArmor on",
        why="Without apparmor_parser containerd loads no default profile: containers run "
        "unconfined, and pods that name a profile do not start.",
        judge=_security_modules,
        remedy="install apparmor: packages.prerequisites() does",
        operation="packages.prerequisites",
        mirrors=("k0s: AppArmor",),
        sources=("https://kubernetes.io/docs/tutorials/security/apparmor/",),
    ),
    Check(
        id="machine.reboot-required",
        title="No reboot is due",
        severity="warn",
        expected="no reboot asked for by an upgrade",
        why="What an upgrade put on disk is not what runs: the next reboot changes more than the "
        "one who does it expects.",
        judge=_reboot,
        remedy="drain the node and reboot it",
    ),
)
