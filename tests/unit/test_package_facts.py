"""What dpkg, rpm and the lists of locks say of packages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.facts import packages
from kubenode.wire.reading import ProbeError, Reading

NAMES = ("cri-o", "kubelet.x")


def parse(**texts: list[str]) -> list[tuple[str, str, bool, bool]]:
    found = packages.parse(Reading(texts=texts), NAMES)["installed"]
    return [(each["name"], each["version"], each["held"], each["configured"]) for each in found]


def test_dpkgs_states() -> None:
    lines = ["cri-o 1:2-3 hi ", "kubelet.x 1.36 iF ", "other 1 ii ", "", "x"]
    assert parse(dpkg=lines) == [
        ("cri-o", "1:2-3", True, True),
        ("kubelet.x", "1.36", False, False),
    ]
    assert parse(dpkg=["cri-o  un ", "kubelet.x 1 rc ", "cri-o 1"]) == []


@pytest.mark.parametrize(
    ("path", "line", "held"),
    [
        ("/etc/dnf/plugins/versionlock.list", "cri-o-0:1.36.1-1.*", True),
        ("/etc/yum/pluginconf.d/versionlock.list", "0:cri-o-1.36.1-1.*", True),
        ("/etc/dnf/versionlock.toml", 'name = "cri-o"', True),
        ("/etc/zypp/locks", "solvable_name: cri-o", True),
        ("/etc/zypp/locks", "solvable_name: cri-o-x", False),
        ("/etc/dnf/plugins/versionlock.list", "cri-o-extra-1.36.1-1.*", False),
        ("/etc/dnf/versionlock.toml", '# name = "cri-o"', False),
    ],
)
def test_rpms_locks(path: str, line: str, held: bool) -> None:
    rpm = ["cri-o 1.36.1-1", "package kubelet.x is not installed"]
    assert parse(rpm=rpm, **{path: [line]}) == [("cri-o", "1.36.1-1", held, True)]


def test_a_dot_in_a_name_is_a_dot() -> None:
    locks = {"/etc/zypp/locks": ["solvable_name: kubelet-x"]}
    assert parse(rpm=["kubelet.x 1-1"], **locks) == [("kubelet.x", "1-1", False, True)]


def test_a_manager_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(ProbeError):
        packages.parse(Reading(unreadable=frozenset({"package"})), NAMES)


def test_the_exit_codes_of_rpm_are_the_number_of_names() -> None:
    assert "case $status in 0 | 1 | 2) said rpm" in packages.shell(NAMES)
    assert "case $status in 0 | 1) said rpm" in packages.shell(NAMES[:1])


@given(st.lists(st.text(max_size=40)), st.lists(st.text(max_size=40)))
def test_any_lines_are_packages_or_none(dpkg: list[str], rpm: list[str]) -> None:
    assert all(name in NAMES for name, *_ in parse(dpkg=dpkg, rpm=rpm))
