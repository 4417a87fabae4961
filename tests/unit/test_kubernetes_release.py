"""What a Kubernetes release needs."""

from __future__ import annotations

import pytest
from packaging.version import Version

from kubenode.kubelet.releases import (
    RELEASES,
    is_newer_than_known,
    release_of,
    supports_containerd,
)


@pytest.mark.parametrize(
    ("minor", "containerd", "good"),
    [
        ((1, 33), "1.6.36", True),
        ((1, 33), "1.6.35", False),
        ((1, 34), "1.6.38", False),
        ((1, 34), "1.6.39", True),
        ((1, 34), "1.5.18", False),
        ((1, 34), "1.7.27", False),
        ((1, 34), "1.7.28", True),
        ((1, 34), "2.0.5", False),
        ((1, 35), "2.0.9", False),
        ((1, 35), "2.1.5", True),
        ((1, 36), "1.7.99", False),
        ((1, 36), "2.1.9", False),
        ((1, 36), "2.2.0", True),
        ((1, 37), "2.1.9", False),
        ((1, 37), "2.3.1", True),
        ((1, 36), "2.3.1", True),
        ((1, 37), "2.0.11", False),
        ((1, 37), "2.4.0", True),
        ((1, 36), "3.0.0", True),
    ],
)
def test_containerd(minor: tuple[int, int], containerd: str, good: bool) -> None:
    release = release_of(minor)
    assert release is not None
    assert supports_containerd(release, Version(containerd)) == good


def test_the_table_is_in_order() -> None:
    assert list(RELEASES) == sorted(RELEASES, key=lambda release: release.minor)
    for release in RELEASES:
        assert list(release.containerd) == sorted(release.containerd, key=Version)


def test_releases_outside_the_table() -> None:
    assert release_of((1, 20)) is None
    assert release_of((9, 9)) is RELEASES[-1]
    assert is_newer_than_known((9, 9))
