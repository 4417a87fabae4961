"""What a Kubernetes release needs of a node, as far as releases differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from packaging.version import Version


@dataclass(frozen=True)
class Release:
    """A minor release, and what its nodes need."""

    minor: tuple[int, int]
    containerd: tuple[str, ...]
    """The first release that is good enough, for each containerd series that is supported, oldest
    first. A series newer than the last is good."""
    needs_cgroup_v2: bool
    """Whether kubelet refuses cgroup v1 unless told otherwise (failCgroupV1)."""
    kernel: str
    """The oldest kernel that will do."""

    def __str__(self) -> str:
        return f"{self.minor[0]}.{self.minor[1]}"


RELEASES: tuple[Release, ...] = (
    Release((1, 33), ("1.6.36", "1.7.24", "2.0.4", "2.1.0"), False, "5.4"),
    Release((1, 34), ("1.6.39", "1.7.28", "2.0.6", "2.1.3"), False, "5.4"),
    Release((1, 35), ("1.7.28", "2.1.5", "2.2.0"), True, "5.8"),
    Release((1, 36), ("2.2.0", "2.3.0"), True, "5.8"),
    Release((1, 37), ("2.2.0", "2.3.0"), True, "5.8"),
)
"""Oldest first.

Sources, as of the date in :mod:`kubenode.release_facts`: containerd: the table "Kubernetes Support"
of containerd.io/releases, where these are recommended as tested the most (it goes up to 1.36; 1.37
is taken to be as 1.36); cgroup v2: KEP-5573 (failCgroupV1 is true from 1.35 on); kernel: kubeadm's
SystemVerification (5.4), and the Kubernetes page "About cgroup v2" (5.8 or later).
"""

END_OF_LIFE: Mapping[tuple[int, int], date] = MappingProxyType(
    {
        (1, 33): date(2026, 6, 28),
        (1, 34): date(2026, 10, 27),
        (1, 35): date(2027, 2, 28),
        (1, 36): date(2027, 6, 28),
        (1, 37): date(2027, 10, 28),
    }
)
"""The last day on which upstream supports a minor release: kubernetes.io/releases."""

KUBELET_SKEW = 3
"""How many minor releases kubelet may be older than the control plane; newer it may never be.

Source: the Kubernetes page "Version Skew Policy"; kubeadm's KubeletVersion asks for the same.
"""


@dataclass(frozen=True)
class Programs:
    """What kubeadm of some releases looks for in PATH: its FileExisting checks."""

    first: tuple[int, int]
    """The first release it is so for; it is until the next row's."""
    required: tuple[str, ...]
    """kubeadm says ERROR without them."""
    optional: tuple[str, ...]
    """kubeadm says WARNING without them."""


PROGRAMS: tuple[Programs, ...] = (
    Programs(
        (1, 30),
        ("conntrack", "crictl", "ip", "iptables", "mount", "nsenter"),
        ("ebtables", "ethtool", "socat", "tc", "touch"),
    ),
    Programs(
        (1, 31),
        ("conntrack", "ip", "iptables", "mount", "nsenter"),
        ("ebtables", "ethtool", "socat", "tc", "touch"),
    ),
    Programs((1, 32), ("ip", "iptables", "mount", "nsenter"), ("ethtool", "tc", "touch")),
    Programs((1, 33), ("cp", "losetup", "mount"), ("touch",)),
)
"""Oldest first.

Sources: ``addExecChecks`` of kubeadm's ``preflight/checks_linux.go``, and the changes to it:
kubernetes#124685 (no crictl from 1.31), #126953 (no conntrack from 1.32), #127151 (no socat and
ebtables), #129131 (no ip, iptables, ethtool, tc from 1.33), #129450 (losetup in place of nsenter),
#130045 (cp).
"""


def release_of(minor: tuple[int, int]) -> Release | None:
    """The row for a minor release; the newest for one that is newer, None for one that is older."""
    known = [release for release in RELEASES if release.minor <= minor]
    return known[-1] if known else None


def is_newer_than_known(minor: tuple[int, int]) -> bool:
    """Whether :func:`release_of` has to guess because the table does not reach to *minor*."""
    return minor > RELEASES[-1].minor


def programs_of(minor: tuple[int, int] | None) -> Programs:
    """What kubeadm of a minor release looks for; the newest row for one that is newer or None."""
    known = [row for row in PROGRAMS if minor is None or row.first <= minor]
    return known[-1] if known else PROGRAMS[0]


def supports_kubelet(minor: tuple[int, int], kubelet: tuple[int, int]) -> bool:
    """Whether a kubelet of one minor release may run in a cluster of another."""
    return kubelet[0] == minor[0] and 0 <= minor[1] - kubelet[1] <= KUBELET_SKEW


def containerd_wanted(release: Release) -> str:
    """The containerd releases that are good enough for a Kubernetes release, in words.

    + release: its row

    **Example:**

    .. code:: python

        containerd_wanted(RELEASES[-1])  # "containerd 2.2.0+ or 2.3.0+"
    """
    return f"containerd {' or '.join(f'{first}+' for first in release.containerd)}"


def supports_containerd(release: Release, version: Version) -> bool:
    """Whether a containerd release is good enough for a Kubernetes release."""
    series = version.release[:2]
    first = {Version(text).release[:2]: Version(text) for text in release.containerd}
    if series in first:
        return version >= first[series]
    return series > max(first)
