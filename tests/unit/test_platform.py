"""What keeps a host from being a node."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from kubenode.facts.platform import PlatformShape
from kubenode.operations.platform import unsuitable

GOOD: PlatformShape = {
    "kernel": "Linux",
    "uid": 0,
    "sudo": False,
    "os_id": "debian",
    "os_version": "12",
    "os_name": "Debian GNU/Linux 12 (bookworm)",
    "package_manager": "apt-get",
    "cgroups": {
        "mode": "v2",
        "controllers": ["cpu", "cpuset", "memory", "pids"],
        "enabled": ["cpu", "memory", "pids"],
        "init": "systemd",
        "systemd": {"running": True, "version": 252},
        "container": None,
    },
}


def host(**changes: Any) -> PlatformShape:
    """A good host with some of it different; a key of ``cgroups`` is set there."""
    platform: Any = deepcopy(GOOD)
    for key, value in changes.items():
        place = platform if key in platform else platform["cgroups"]
        place[key] = value
    return platform  # type: ignore[no-any-return]


def test_a_good_host() -> None:
    assert unsuitable(GOOD, "systemd", (1, 36)) == []


@pytest.mark.parametrize(
    ("platform", "reason"),
    [
        (host(kernel="FreeBSD"), "its kernel is FreeBSD"),
        (host(kernel=None), "its kernel is unknown"),
        (host(uid=1000), "commands run as uid 1000, not as root"),
        (host(uid=None), "an unknown user"),
        (host(package_manager=None), "no known package manager"),
        (host(init="init", systemd={"running": False, "version": None}), "PID 1 is init"),
        (host(mode="none"), "its cgroup version is none"),
        (host(mode="unknown"), "its cgroup version is unknown"),
        (host(mode="v1"), "Kubernetes 1.35 needs v2"),
        (host(mode="hybrid"), "Kubernetes 1.35 needs v2"),
    ],
)
def test_what_is_unsuitable(platform: PlatformShape, reason: str) -> None:
    problems = unsuitable(platform, "systemd", (1, 35))
    assert len(problems) == 1
    assert reason in problems[0]


def test_cgroup_v1_is_good_enough_for_older_releases() -> None:
    assert unsuitable(host(mode="v1"), "systemd", (1, 34)) == []
    assert unsuitable(host(mode="v1"), "systemd", None) == []


def test_the_cgroupfs_driver_does_not_need_systemd() -> None:
    platform = host(init="init", systemd={"running": False, "version": None})
    assert unsuitable(platform, "cgroupfs", None) == []
