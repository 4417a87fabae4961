"""What differs between CRI-O's releases, as far as configuring a node needs it.

CRI-O's minor release is Kubernetes' (1.36 for 1.36); older ones by up to two minor releases are
tolerated. It supports the releases that Kubernetes does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from packaging.version import Version

MOST_BEHIND = 2
"""Minor releases that CRI-O may be older than Kubernetes: README, "Compatibility matrix"."""


@dataclass(frozen=True)
class Release:
    """A minor release, and what its programs have built in."""

    minor: tuple[int, int]
    end_of_life: date
    """The last day of support: that of the same Kubernetes release."""
    default_runtime: str
    pause_image: str

    @property
    def series(self) -> str:
        """Such as ``1.36``."""
        return f"{self.minor[0]}.{self.minor[1]}"


def _release(minor: int, end_of_life: str, pause: str, runtime: str = "crun") -> Release:
    return Release(
        (1, minor), date.fromisoformat(end_of_life), runtime, f"registry.k8s.io/pause:{pause}"
    )


RELEASES: tuple[Release, ...] = (
    _release(28, "2024-10-28", "3.9", runtime="runc"),
    _release(29, "2025-02-28", "3.9", runtime="runc"),
    _release(30, "2025-06-28", "3.9", runtime="runc"),
    _release(31, "2025-10-28", "3.10"),
    _release(32, "2026-02-28", "3.10"),
    _release(33, "2026-06-28", "3.10"),
    _release(34, "2026-10-27", "3.10.1"),
    _release(35, "2027-02-28", "3.10.1"),
    _release(36, "2027-06-28", "3.10.1"),
    _release(37, "2027-10-28", "3.10.1"),
)
"""Oldest first. Sources: ``pkg/config`` of CRI-O at the tags v1.28.0 to v1.36.0, and of its main
branch for 1.37; kubernetes.io/releases/patch-releases for the ends, of which that of 1.37 is what
is planned. :mod:`kubenode.release_facts` has the date."""

DEFAULT_SIGNATURE_POLICY = "/etc/containers/policy.json"
DEFAULT_NETWORK_DIR = "/etc/cni/net.d"
DEFAULT_PLUGIN_DIRS = ("/opt/cni/bin",)
DEFAULT_ROOT = "/var/lib/containers/storage"
DEFAULT_MONITOR_CGROUP = "system.slice"

_VERSION = re.compile(
    r"^(?:crio version |Version: *)v?(\d{1,4}\.\d{1,4}\.\d{1,6})(?:-(alpha|beta|rc)\.?(\d{1,6}))?",
    re.MULTILINE,
)


def parse_version(output: str) -> Version | None:
    """The version in what ``crio --version`` prints, None when there is none.

    + output: such as ``crio version 1.36.3``, with more lines below it
    """
    found = _VERSION.search(output)
    if not found:
        return None
    number, stage, count = found.groups()
    return Version(f"{number}{stage}{count}" if stage else number)


def release_of(version: Version | None) -> Release:
    """The row for *version*; the newest for one newer than the table and for None, the oldest for
    one that is older."""
    if version is None:
        return RELEASES[-1]
    known = [row for row in RELEASES if row.minor <= (version.major, version.minor)]
    return known[-1] if known else RELEASES[0]


def is_newer_than_known(version: Version) -> bool:
    """Whether :func:`release_of` has to guess because the table does not reach to *version*."""
    return (version.major, version.minor) > RELEASES[-1].minor


def fits(version: Version, kubernetes: tuple[int, int]) -> bool:
    """Whether a CRI-O is for a Kubernetes release: of the same minor, or older by two at most.

    + version: CRI-O's
    + kubernetes: such as (1, 36)
    """
    behind = kubernetes[1] - version.minor
    return version.major == kubernetes[0] and 0 <= behind <= MOST_BEHIND


def recreates_containers(old: Version, new: Version) -> bool:
    """Whether all containers are removed and made again when *new* starts after *old*.

    CRI-O wipes containers when it finds that its minor release has changed, up or down.

    Sources: cri-o#8739; ``server/server.go`` "wipeIfAppropriate".
    """
    return (old.major, old.minor) != (new.major, new.minor)
