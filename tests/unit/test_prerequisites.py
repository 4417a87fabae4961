"""Programs that kubelet and kubeadm use, and the packages that have them."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.audit.checks import machine
from kubenode.kubelet.prerequisites import (
    NEEDS,
    NETWORK_MANAGER,
    PROGRAMS,
    Host,
    family_of,
    plan,
    wanted,
)
from kubenode.kubelet.releases import PROGRAMS as BY_RELEASE
from kubenode.profiles import PROFILES

TRIXIE = {"ID": "debian", "VERSION_ID": "13"}
ROCKY_10 = {"ID": "rocky", "ID_LIKE": "rhel centos fedora", "VERSION_ID": "10.1"}
ALL = {name: f"/usr/bin/{name}" for name in PROGRAMS}


def host(**other: object) -> Host:
    return dataclasses.replace(Host("apt-get", TRIXIE, None, "writable", ALL), **other)  # type: ignore[arg-type]


def without(*names: str) -> dict[str, str | None]:
    return {**ALL, **dict.fromkeys(names)}


def test_what_kubeadm_of_any_release_looks_for_is_in_the_table() -> None:
    asked = {name for row in BY_RELEASE for name in (*row.required, *row.optional)}
    # crictl is of a package of Kubernetes' own
    assert asked - set(PROGRAMS) == {"crictl"}
    assert {*machine._REQUIRED_PROGRAMS, *machine._OPTIONAL_PROGRAMS} <= set(PROGRAMS)


@pytest.mark.parametrize("minor", [(1, 30), (1, 31), (1, 32), (1, 33), (1, 37), None])
def test_what_kubeadm_of_a_release_looks_for_is_wanted_for_it(
    minor: tuple[int, int] | None,
) -> None:
    known = [row for row in BY_RELEASE if minor is None or row.first <= minor]
    names = {need.program for need in wanted(minor, ["bridge-cni"], False)}
    assert {*known[-1].required, *known[-1].optional} - {"crictl"} <= names
    assert ("ebtables" in names) == (minor is not None and minor < (1, 32))


def test_only_what_is_missing_is_installed() -> None:
    assert plan(host(), (1, 37), ["bridge-cni"]).is_empty
    to_do = plan(host(programs=without("conntrack", "ip", "tc", "losetup")), (1, 37), [])
    assert to_do.packages == ("mount", "iproute2", "conntrack")
    assert to_do.told is None


@pytest.mark.parametrize(
    ("manager", "release", "family", "packages"),
    [
        ("apt-get", TRIXIE, "debian", ("iproute2", "iptables", "conntrack")),
        ("apt-get", {"ID": "ubuntu", "ID_LIKE": "debian"}, "debian",
         ("iproute2", "iptables", "conntrack")),
        ("dnf", ROCKY_10, "rhel", ("iproute-tc", "iptables-nft", "conntrack-tools")),
        ("dnf", {"ID": "almalinux", "ID_LIKE": "rhel centos fedora", "VERSION_ID": "8.10"}, "rhel",
         ("iproute-tc", "iptables", "conntrack-tools")),
        ("dnf", {"ID": "fedora", "VERSION_ID": "44"}, "rhel",
         ("iproute-tc", "iptables-nft", "conntrack-tools")),
        ("zypper", {"ID": "opensuse-leap", "ID_LIKE": "suse opensuse"}, "suse",
         ("iproute2", "iptables", "conntrack-tools")),
        ("dnf", {"ID": "opensuse-tumbleweed", "ID_LIKE": "opensuse suse"}, "suse",
         ("iproute2", "iptables", "conntrack-tools")),
    ],
)  # fmt: skip
def test_each_family_has_its_own_names(
    manager: str, release: dict[str, str], family: str, packages: tuple[str, ...]
) -> None:
    assert family_of(manager, release) == family
    there = host(
        manager=manager, os_release=release, programs=without("tc", "iptables", "conntrack")
    )
    assert plan(there, (1, 37), []).packages == packages


def test_profiles_have_programs_of_their_own() -> None:
    bare = host(programs=dict.fromkeys(PROGRAMS))
    assert {"ipset", "ipvsadm"} <= set(plan(bare, None, ["ipvs"]).packages)
    assert "nftables" in plan(bare, None, ["nftables"]).packages
    assert not {"ipset", "nftables"} & set(plan(bare, None, ["bridge-cni"]).packages)


def test_apparmors_parser_is_wanted_where_the_kernel_has_it_on() -> None:
    there = host(programs=without("apparmor_parser"))
    assert plan(dataclasses.replace(there, apparmor=True), None, []).packages == ("apparmor",)
    assert plan(dataclasses.replace(there, apparmor=None), None, []).is_empty
    rocky = dataclasses.replace(there, manager="dnf", os_release=ROCKY_10, apparmor=True)
    assert plan(rocky, None, []).is_empty


def test_el_10_gets_the_modules_of_the_kernel_that_runs() -> None:
    rocky = host(manager="dnf", os_release=ROCKY_10, kernel="6.12.0-124.8.1.el10_1.x86_64")
    lacks = dataclasses.replace(rocky, bridge_module=False)
    assert (
        plan(lacks, None, []).kernel_package == "kernel-modules-extra-6.12.0-124.8.1.el10_1.x86_64"
    )
    assert plan(dataclasses.replace(lacks, bridge_module=True), None, []).is_empty
    assert plan(dataclasses.replace(lacks, bridge_module=None), None, []).is_empty
    for other in ("9.6", "44"):
        older = dataclasses.replace(lacks, os_release={**ROCKY_10, "VERSION_ID": other})
        assert (plan(older, None, []).kernel_package is not None) == (other == "44")
    odd = plan(dataclasses.replace(lacks, kernel="6.12; reboot"), None, [])
    assert odd.blocked is not None
    assert odd.kernel_package is None


def test_a_host_that_packages_do_not_change_is_refused_by_name() -> None:
    for other in ({"image": "Flatcar"}, {"usr": "read-only"}, {"manager": None}):
        lacks = host(programs=without("conntrack"), **other)
        assert "conntrack" in (plan(lacks, None, []).blocked or "")
        # what lacks nothing is fine as it is
        assert plan(host(**other), None, []).is_empty


def test_networkmanager_is_told_where_it_is() -> None:
    there = host(network_manager=True)
    told = plan(there, None, []).told
    assert told is not None
    assert told.path == NETWORK_MANAGER
    assert b"unmanaged-devices+=interface-name:cni*;interface-name:cali*;" in (told.new or b"")
    assert plan(dataclasses.replace(there, told=told.new), None, []).is_empty
    unreadable = plan(dataclasses.replace(there, unreadable=True), None, [])
    assert f"cannot read {NETWORK_MANAGER}" in (unreadable.blocked or "")


@given(
    st.sets(st.sampled_from(PROGRAMS)),
    st.sampled_from(["debian", "rocky", "opensuse", "suse", "arch"]),
    st.sampled_from(["apt-get", "dnf", "zypper", None]),
    st.sampled_from([None, (1, 28), (1, 31), (1, 37), (1, 99)]),
    st.sets(st.sampled_from(list(PROFILES))),
    st.sampled_from([None, "Flatcar"]),
)
def test_what_is_installed_is_what_is_missing_or_the_host_is_refused(
    missing: set[str],
    os_id: str,
    manager: str | None,
    minor: tuple[int, int] | None,
    profiles: set[str],
    image: str | None,
) -> None:
    there = host(manager=manager, os_release={"ID": os_id}, image=image, programs=without(*missing))
    to_do = plan(there, minor, profiles)
    names = {need.program for need in wanted(minor, profiles, None)} & missing
    if to_do.blocked:
        assert names
        assert not to_do.packages
    else:
        assert {need.program for need in to_do.missing} == names
        assert bool(to_do.packages) == bool(names)


def test_every_need_says_who_uses_it() -> None:
    assert all(need.of and need.packages for need in NEEDS)
    assert len(PROGRAMS) == len(set(PROGRAMS))
