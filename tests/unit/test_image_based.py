"""Which distribution a host has, and whether packages can change it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubenode.audit.checks.catalogue import CHECKS
from kubenode.audit.checks.check import Aim
from kubenode.audit.findings import judge_host
from kubenode.audit.preflight import preflight
from kubenode.facts import image_based, platform
from kubenode.facts.platform import PlatformShape
from kubenode.linux.image_based import image_of, usr_is, why_no_packages
from kubenode.runtimes import other_runtimes
from kubenode.wire.reading import ProbeError, Reading
from tests.recorded_node import recorded

RELEASES = Path(__file__).parent / "os_releases"
ROOT_RW = "overlay / overlay rw,relatime 0 0"


def shape(
    release: str, *mounts: str, manager: str = "apt-get", ostree: bool = False
) -> PlatformShape:
    """What a host with this os-release says of itself."""
    values = {"kernel": "Linux", "uid": "0", "package_manager": manager}
    if ostree:
        values["ostree"] = "yes"
    asked = Reading(
        values=values, texts={"/etc/os-release": (RELEASES / release).read_text().splitlines()}
    )
    cgroup = "cgroup2 /sys/fs/cgroup cgroup2 rw,relatime 0 0"
    cgroups = Reading(
        values={"systemd_running": "yes", "systemd": "systemd 257"},
        texts={
            "mounts": [*(mounts or (ROOT_RW,)), cgroup],
            "/sys/fs/cgroup/cgroup.controllers": ["cpuset cpu memory pids"],
            "/sys/fs/cgroup/cgroup.subtree_control": ["cpuset cpu memory pids"],
            "/proc/1/comm": ["systemd"],
        },
    )
    return platform.parse(asked, cgroups, other_runtimes.NONE)


@pytest.mark.parametrize(
    ("release", "os_id", "version", "manager"),
    [
        ("ubuntu-22.04", "ubuntu", "22.04", "apt-get"),
        ("ubuntu-24.04", "ubuntu", "24.04", "apt-get"),
        ("ubuntu-26.04", "ubuntu", "26.04", "apt-get"),
        ("debian-12", "debian", "12", "apt-get"),
        ("debian-13", "debian", "13", "apt-get"),
        ("debian-forky", "debian", None, "apt-get"),
        ("raspberry-pi-os-12-32-bit", "raspbian", "12", "apt-get"),
        ("raspberry-pi-os-13-64-bit", "debian", "13", "apt-get"),
        ("linux-mint-22", "linuxmint", "22.2", "apt-get"),
        ("linux-mint-debian-7", "linuxmint", "7", "apt-get"),
        ("rhel-8", "rhel", "8.10", "dnf"),
        ("rhel-9", "rhel", "9.6", "dnf"),
        ("rhel-10", "rhel", "10.0", "dnf"),
        ("centos-stream-10", "centos", "10", "dnf"),
        ("almalinux-9", "almalinux", "9.6", "dnf"),
        ("rocky-9", "rocky", "9.6", "dnf"),
        ("oracle-9", "ol", "9.6", "dnf"),
        ("fedora-43", "fedora", "43", "dnf"),
        ("amazon-linux-2023", "amzn", "2023", "dnf"),
        ("opensuse-leap-15.6", "opensuse-leap", "15.6", "zypper"),
        ("opensuse-leap-16.0", "opensuse-leap", "16.0", "zypper"),
        ("opensuse-tumbleweed", "opensuse-tumbleweed", "20251120", "zypper"),
        ("sles-15.7", "sles", "15.7", "zypper"),
        ("sles-16.0", "sles", "16.0", "zypper"),
    ],
)
def test_a_distribution_of_packages_can_be_a_node(
    release: str, os_id: str, version: str | None, manager: str
) -> None:
    host = shape(release, manager=manager)
    assert (host["os_id"], host["os_version"]) == (os_id, version)
    assert host["os_name"]
    assert (host["image"], host["usr"]) == (None, "writable")
    assert preflight(host, "systemd", (1, 37)) == []


@pytest.mark.parametrize(
    ("release", "mounts", "manager", "ostree", "image"),
    [
        (
            "flatcar-4459",
            (ROOT_RW, "/dev/mapper/usr /usr btrfs ro,seclabel,relatime 0 0"),
            "",
            False,
            "Flatcar",
        ),
        ("fedora-coreos-43", ("composefs / overlay ro,relatime 0 0",), "", True, "CoreOS"),
        ("rhel-coreos-4.19", ("/dev/sda4 / xfs rw 0 0",), "", True, "CoreOS"),
        ("sl-micro-6.1", ("/dev/vda3 / btrfs ro 0 0",), "zypper", False, "SUSE Linux Micro"),
        ("sle-micro-5.5", ("/dev/vda3 / btrfs ro 0 0",), "zypper", False, "Micro"),
        ("opensuse-microos", ("/dev/vda3 / btrfs ro 0 0",), "zypper", False, "MicroOS"),
        ("talos-1.11", ("/dev/loop0 / squashfs ro 0 0",), "", False, "Talos"),
        ("bottlerocket-1.50", ("/dev/dm-0 / erofs ro 0 0",), "", False, "Bottlerocket"),
        # its root and /usr can be written to
        ("nixos-25.05", (ROOT_RW,), "", False, "NixOS"),
        ("ubuntu-core-24", (ROOT_RW,), "apt-get", False, "Ubuntu Core"),
        ("container-optimized-os-121", ("/dev/dm-0 / ext2 ro 0 0",), "", False, "Container-"),
        # bootc on any distribution
        ("centos-stream-10", ("composefs / overlay ro 0 0",), "dnf", True, "bootc"),
        ("debian-13", (ROOT_RW,), "apt-get", True, "bootc"),
    ],
)
def test_an_image_is_refused_and_audited(
    release: str, mounts: tuple[str, ...], manager: str, ostree: bool, image: str
) -> None:
    host = shape(release, *mounts, manager=manager, ostree=ostree)
    assert image in str(host["image"])
    (problem,) = preflight(host, "systemd", (1, 37))
    assert problem.severity == "fail"
    assert f"it is a whole image, {host['image']}, which packages do not change" in problem.found
    assert problem.remedy
    facts: Any = recorded()
    facts["platform"] = host
    report = judge_host("host", facts, Aim(), CHECKS)
    found = {finding.check: finding.state for finding in report.findings}
    assert found["platform.packages"] == "warn"
    # which only follows
    assert found["platform.package-manager"] == "not-applicable"


@pytest.mark.parametrize(
    ("mounts", "usr"),
    [
        ((ROOT_RW,), "writable"),
        (("/dev/sda1 / ext4 ro,errors=remount-ro 0 0",), "read-only"),
        ((ROOT_RW, "/dev/sda2 /usr ext4 ro 0 0"), "read-only"),
        (("/dev/sda1 / ext4 ro 0 0", "/dev/sda2 /usr ext4 rw 0 0"), "writable"),
        # the last one hides the others
        ((ROOT_RW, "a /usr ext4 ro 0 0", "b /usr ext4 rw 0 0"), "writable"),
        ((ROOT_RW, "a /usr ext4 rw 0 0", "b /usr ext4 ro 0 0"), "read-only"),
        # an option that only looks like it
        (("/dev/sda1 / ext4 rw,errors=remount-ro 0 0",), "writable"),
        (("/dev/sda3 /var ext4 rw 0 0",), None),
    ],
)
def test_how_usr_is_mounted(mounts: tuple[str, ...], usr: str | None) -> None:
    host = shape("debian-13", *mounts)
    assert host["usr"] == usr
    problems = [problem.found for problem in preflight(host, "systemd", None)]
    expected = {
        "writable": [],
        "read-only": ["its /usr is mounted read-only"],
        None: ["it cannot be told whether /usr is mounted read-only"],
    }
    assert problems == expected[usr]


def test_what_is_not_known_of_mounts_is_not_known_of_usr() -> None:
    assert usr_is(None) is None
    assert usr_is({}) is None
    assert why_no_packages(None, None) is None


def test_an_edition_without_its_marker_is_an_image_all_the_same() -> None:
    assert image_of("fedora", "silverblue", False) == "Silverblue"
    assert image_of("fedora", "server", False) is None
    assert image_of(None, None, False) is None


def system(*mounts: str, ostree: str = "no", release: str = "debian-13") -> Reading:
    lines = (RELEASES / release).read_text().splitlines()
    texts = {"/etc/os-release": lines} | ({"mounts": list(mounts)} if mounts else {})
    return Reading({"ostree": ostree}, texts)


@pytest.mark.parametrize(
    ("reading", "why"),
    [
        (system(ROOT_RW), None),
        (system(ROOT_RW, "/dev/sda3 /usr ext4 ro 0 0"), "its /usr is mounted read-only"),
        (system(ROOT_RW, ostree="yes"), "it is a whole image, ostree"),
        (system("/dev/sda9 / ext4 rw 0 0", release="flatcar-4459"), "a whole image, Flatcar"),
        (system(), "it cannot be told whether /usr is mounted read-only"),
    ],
)
def test_what_changes_packages_refuses_the_same_hosts(reading: Reading, why: str | None) -> None:
    refusal = image_based.refusal(image_based.parse(reading))
    assert refusal is None if why is None else why in (refusal or "")


def test_a_system_that_does_not_say_what_it_is_is_not_known() -> None:
    with pytest.raises(ProbeError):
        image_based.parse(Reading({"ostree": "no"}, unreadable=frozenset({"/etc/os-release"})))
