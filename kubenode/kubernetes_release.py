"""What a Kubernetes release needs of a node, as far as releases differ."""

from __future__ import annotations

from dataclasses import dataclass

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
    Release((1, 34), ("1.7.28", "2.0.6", "2.1.3"), False, "5.4"),
    Release((1, 35), ("1.7.28", "2.1.5", "2.2.0"), True, "5.8"),
    Release((1, 36), ("2.2.0",), True, "5.8"),
)
"""Oldest first.

Sources: containerd: the table "Kubernetes Support" of containerd.io/releases; cgroup v2: KEP-5573
(failCgroupV1 is true from 1.35 on); kernel: kubeadm's SystemVerification (5.4), and the Kubernetes
page "About cgroup v2" (5.8 or later).
"""


def release_of(minor: tuple[int, int]) -> Release | None:
    """The row for a minor release; the newest for one that is newer, None for one that is older."""
    known = [release for release in RELEASES if release.minor <= minor]
    return known[-1] if known else None


def is_newer_than_known(minor: tuple[int, int]) -> bool:
    """Whether :func:`release_of` has to guess because the table does not reach to *minor*."""
    return minor > RELEASES[-1].minor


def supports_containerd(release: Release, version: Version) -> bool:
    """Whether a containerd release is good enough for a Kubernetes release."""
    series = version.release[:2]
    first = {Version(text).release[:2]: Version(text) for text in release.containerd}
    if series in first:
        return version >= first[series]
    return series > max(first)
