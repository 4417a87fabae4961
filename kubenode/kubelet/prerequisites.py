"""The programs that kubelet, kubeadm and kube-proxy use on a host, and the packages they are in.

Sources: the FileExisting checks of kubeadm (:data:`kubenode.kubelet.releases.PROGRAMS`); the
package lists of kubespray (``system_packages``), image-builder (``roles/node``) and kops
(``packages.go``); EL 10: k3s-ansible#419 and kops#18724 for kernel-modules-extra; NetworkManager:
rke2's "Known issues" and NetworkManager.conf(5). What a hold tells needrestart and
unattended-upgrades is :mod:`kubenode.packages.left_alone`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from kubenode.files.whole_file import Change
from kubenode.linux import image_based
from kubenode.profiles import ProfileName

Family = Literal["debian", "rhel", "suse"]

NETWORK_MANAGER = "/etc/NetworkManager/conf.d/kubenode.conf"

_INTERFACES = (
    "cni*", "cali*", "flannel*", "tunl*", "vxlan.calico", "vxlan-v6.calico", "wireguard.cali",
    "wg-v6.cali",
)  # fmt: skip

# the option is a list, and "+=" leaves what other files have in it
_LEFT_ALONE = (
    "# by kubenode: what is changed here, the next run changes back\n[keyfile]\nunmanaged-devices+="
    + ";".join(f"interface-name:{name}" for name in _INTERFACES)
    + "\n"
)
"""NetworkManager takes the addresses and routes of a CNI plugin's interfaces away."""


@dataclass(frozen=True)
class Need:
    """A program that something of Kubernetes calls.

    + program: its name in PATH
    + of: who calls it, in words
    + packages: the package that has it, by family; none where the family has no use for it
    + before: it is not used any more from this release on
    + profile: only a node with this profile has a use for it
    + apparmor: only a kernel with AppArmor on has a use for it
    """

    program: str
    of: str
    packages: Mapping[Family, str]
    before: tuple[int, int] | None = None
    profile: ProfileName | None = None
    apparmor: bool = False


def _everywhere(name: str) -> Mapping[Family, str]:
    return MappingProxyType({"debian": name, "rhel": name, "suse": name})


def _named(debian: str, rhel: str, suse: str) -> Mapping[Family, str]:
    return MappingProxyType({"debian": debian, "rhel": rhel, "suse": suse})


NEEDS: tuple[Need, ...] = (
    Need("mount", "kubelet mounts volumes", _named("mount", "util-linux", "util-linux")),
    Need("umount", "kubelet unmounts volumes", _named("mount", "util-linux", "util-linux")),
    Need("losetup", "kubelet holds block volumes", _named("mount", "util-linux", "util-linux")),
    Need("cp", "kubeadm copies etcd's directory", _everywhere("coreutils")),
    Need("touch", "kubeadm", _everywhere("coreutils")),
    Need("nsenter", "cri-dockerd forwards ports", _everywhere("util-linux")),
    Need("ip", "CNI plugins, and who debugs a node", _named("iproute2", "iproute", "iproute2")),
    Need("tc", "the bandwidth plugin", _named("iproute2", "iproute-tc", "iproute2")),
    Need("iptables", "kubelet, the portmap plugin", _named("iptables", "iptables-nft", "iptables")),
    Need(
        "conntrack",
        "kube-proxy before 1.32, and who debugs a node",
        _named("conntrack", "conntrack-tools", "conntrack-tools"),
    ),
    Need("ethtool", "who debugs a node", _everywhere("ethtool")),
    Need("socat", "kubectl port-forward of some runtimes", _everywhere("socat")),
    Need("ebtables", "kubeadm before 1.32", _everywhere("ebtables"), before=(1, 32)),
    Need("ipset", "kube-proxy in IPVS mode", _everywhere("ipset"), profile="ipvs"),
    Need("ipvsadm", "who debugs IPVS", _everywhere("ipvsadm"), profile="ipvs"),
    Need("nft", "kube-proxy in nftables mode", _everywhere("nftables"), profile="nftables"),
    Need(
        "apparmor_parser",
        "the runtime loads its AppArmor profile",
        MappingProxyType({"debian": "apparmor", "suse": "apparmor-parser"}),
        apparmor=True,
    ),
)
"""RHEL 8 has its iptables in a package of that name, see :func:`package_of`."""

PROGRAMS = tuple(need.program for need in NEEDS)


@dataclass(frozen=True)
class Host:
    """What a host says of itself.

    + manager: ``apt-get``, ``dnf``, ``zypper``; None for no known one
    + os_release: os-release(5), by name
    + image, usr: see :func:`kubenode.linux.image_based.why_no_packages`
    + programs: path by name, of :data:`PROGRAMS`; None is missing
    + kernel: release of the running kernel
    + bridge_module: whether that kernel can have br_netfilter; None is not known
    + apparmor: whether the kernel has AppArmor on; None is not known
    + network_manager: whether that is on the host
    + told: exact content of :data:`NETWORK_MANAGER`, None when there is none
    + unreadable: whether that could not be read
    """

    manager: str | None
    os_release: Mapping[str, str]
    image: str | None
    usr: image_based.Usr | None
    programs: Mapping[str, str | None]
    kernel: str | None = None
    bridge_module: bool | None = None
    apparmor: bool | None = None
    network_manager: bool = False
    told: bytes | None = None
    unreadable: bool = False


@dataclass(frozen=True)
class Plan:
    """What to do, or why not to. It is empty when there is nothing to do.

    + missing: the programs that are not there
    + packages: those that have them
    + kernel_package: the package with further modules of the running kernel
    + told: what becomes of NetworkManager's file
    + blocked: why nothing may be done
    """

    missing: tuple[Need, ...] = ()
    packages: tuple[str, ...] = ()
    kernel_package: str | None = None
    told: Change | None = None
    blocked: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.packages or self.kernel_package or self.told or self.blocked)


def family_of(manager: str | None, os_release: Mapping[str, str]) -> Family | None:
    """Whose names of packages a host has; None where nobody knows.

    + manager: ``apt-get``, ``dnf``, ``zypper``
    + os_release: os-release(5), by name: openSUSE has packages of dnf, too

    **Example:**

    .. code:: python

        family_of("dnf", {"ID": "rocky", "ID_LIKE": "rhel centos fedora"})  # "rhel"
    """
    like = {os_release.get("ID", ""), *os_release.get("ID_LIKE", "").split()}
    if manager == "apt-get":
        return "debian"
    if manager == "zypper" or like & {"suse", "opensuse", "sles"}:
        return "suse"
    return "rhel" if manager == "dnf" else None


def package_of(need: Need, family: Family, os_release: Mapping[str, str]) -> str | None:
    """The package that has a program on a distribution, None where it has no use for it.

    + need: the program
    + family, os_release: of the distribution
    """
    if need.program == "iptables" and family == "rhel" and _el(os_release) in (7, 8):
        return "iptables"
    return need.packages.get(family)


def wanted(
    minor: tuple[int, int] | None, profiles: Collection[str], apparmor: bool | None
) -> list[Need]:
    """The programs that a node has a use for.

    + minor: the release it is for; None is the newest
    + profiles: what the node is used for
    + apparmor: whether the kernel has AppArmor on
    """
    return [
        need
        for need in NEEDS
        if (need.before is None or (minor is not None and minor < need.before))
        and (need.profile is None or need.profile in profiles)
        and (not need.apparmor or apparmor is True)
    ]


def plan(host: Host, minor: tuple[int, int] | None, profiles: Collection[str]) -> Plan:
    """What to do so that a host has what kubelet, kubeadm and kube-proxy use.

    + host: what it says of itself
    + minor: the release it is for; None is the newest
    + profiles: what the node is used for

    **Example:**

    .. code:: python

        plan(host, (1, 37), ["bridge-cni"]).packages  # ("conntrack", "socat")
    """
    if host.network_manager and host.unreadable:
        return Plan(
            blocked=f"cannot read {NETWORK_MANAGER}: run as root, or see what is wrong with it"
        )
    family = family_of(host.manager, host.os_release)
    missing = []
    for need in wanted(minor, profiles, host.apparmor):
        usable = family is None or package_of(need, family, host.os_release) is not None
        if host.programs.get(need.program) is None and usable:
            missing.append(need)
    kernel_package, problem = _kernel_package(host, family)
    if missing or kernel_package:
        names = ", ".join(need.program for need in missing) or kernel_package
        if why := image_based.why_no_packages(host.image, host.usr):
            problem = f"{names} cannot be installed: {why}: put it into the image"
        elif family is None:
            problem = f"no known package manager (apt-get, dnf, zypper): install {names} yourself"
    if problem:
        return Plan(blocked=problem)
    packages = [
        name for need in missing if family and (name := package_of(need, family, host.os_release))
    ]
    return Plan(tuple(missing), tuple(dict.fromkeys(packages)), kernel_package, _told(host))


def _el(os_release: Mapping[str, str]) -> int | None:
    """The major release of RHEL and what is built from it; None for Fedora and others."""
    like = {os_release.get("ID", ""), *os_release.get("ID_LIKE", "").split()}
    major = os_release.get("VERSION_ID", "").partition(".")[0]
    # Fedora's own numbers are others
    if os_release.get("ID") == "fedora" or not like & {"rhel", "centos"}:
        return None
    return int(major) if major.isdecimal() and len(major) < 4 else None


def _kernel_package(host: Host, family: Family | None) -> tuple[str | None, str | None]:
    """The package of the running kernel that has br_netfilter on EL 10, and why there can be none.

    Asked for without the release it is that of the newest kernel, which the running one lacks.
    """
    release = _el(host.os_release)
    if family != "rhel" or release is None or release < 10 or host.bridge_module is not False:
        return None, None
    if not host.kernel or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,100}", host.kernel):
        return (
            None,
            "the running kernel's release cannot be told, and so not its package of modules",
        )
    return f"kernel-modules-extra-{host.kernel}", None


def _told(host: Host) -> Change | None:
    content = _LEFT_ALONE.encode()
    if not host.network_manager or host.told == content:
        return None
    return Change(NETWORK_MANAGER, host.told, content)
