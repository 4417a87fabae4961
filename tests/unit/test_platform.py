"""What keeps a host from being a node."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from kubenode.audit.preflight import preflight
from kubenode.facts.platform import PlatformShape
from kubenode.runtimes import other_runtimes

GOOD: PlatformShape = {
    "kernel": "Linux",
    "uid": 0,
    "sudo": False,
    "os_id": "debian",
    "os_version": "12",
    "os_name": "Debian GNU/Linux 12 (bookworm)",
    "image": None,
    "usr": "writable",
    "package_manager": "apt-get",
    "cgroups": {
        "mode": "v2",
        "controllers": ["cpu", "cpuset", "memory", "pids"],
        "enabled": ["cpu", "memory", "pids"],
        "init": "systemd",
        "systemd": {"running": True, "version": 252},
        "container": None,
    },
    "runtimes": other_runtimes.NONE,
}


def host(**changes: Any) -> PlatformShape:
    """A good host with some of it different; a key of ``cgroups`` is set there."""
    platform: Any = deepcopy(GOOD)
    for key, value in changes.items():
        place = platform if key in platform else platform["cgroups"]
        place[key] = value
    return platform  # type: ignore[no-any-return]


def test_a_good_host() -> None:
    assert preflight(GOOD, "systemd", (1, 36)) == []


@pytest.mark.parametrize(
    ("platform", "reason"),
    [
        (host(kernel="FreeBSD"), "its kernel is FreeBSD"),
        (host(kernel=None), "its kernel does not say what it is"),
        (host(uid=1000), "commands run as uid 1000, not as root"),
        (host(uid=None), "an unknown user"),
        (host(package_manager=None), "no known package manager"),
        (host(image="Flatcar", package_manager=None), "a whole image, Flatcar"),
        (host(usr="read-only"), "its /usr is mounted read-only"),
        (host(usr=None), "cannot be told whether /usr"),
        (host(init="init", systemd={"running": False, "version": None}), "PID 1 is init"),
        (host(mode="none"), "it has no cgroups"),
        (host(mode="unknown"), "its cgroup version cannot be told"),
        (host(mode="v1"), "Kubernetes 1.35 needs v2"),
        (host(mode="hybrid"), "Kubernetes 1.35 needs v2"),
    ],
)
def test_what_is_unsuitable(platform: PlatformShape, reason: str) -> None:
    (problem,) = preflight(platform, "systemd", (1, 35))
    assert problem.severity == "fail"
    assert reason in problem.found
    assert problem.remedy


def test_cgroup_v1_is_good_enough_for_older_releases() -> None:
    for release in ((1, 34), None):
        (warning,) = preflight(host(mode="v1"), "systemd", release)
        assert warning.severity == "warn"


def test_the_cgroupfs_driver_does_not_need_systemd() -> None:
    platform = host(init="init", systemd={"running": False, "version": None})
    assert preflight(platform, "cgroupfs", None) == []
