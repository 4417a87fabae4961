"""What dpkg, rpm and the lists of locks say of packages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.facts import packages
from kubenode.packages import rpm_locks
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


ZYPPER = {"rpm_manager": "zypper"}


def rpm(
    *lines: str, values: dict[str, str] | None = None, **texts: list[str]
) -> list[tuple[str, str, bool, bool]]:
    reading = Reading(values=values or {}, texts={"rpm": list(lines), **texts})
    found = packages.parse(reading, NAMES)["installed"]
    return [(each["name"], each["version"], each["held"], each["configured"]) for each in found]


def test_rpms_packages() -> None:
    assert rpm("cri-o 1:2-3 x86_64 1795602606", "package kubelet.x is not installed") == [
        ("cri-o", "1:2-3", False, True)
    ]
    assert rpm("other 2-3 x86_64 1", "cri-o 2-3 x86_64", "cri-o 2-3 x86_64 x", "cri-o") == []


def test_rpms_locks_are_those_of_its_manager() -> None:
    lock = {"/etc/zypp/locks": ["solvable_name: cri-o"]}
    assert rpm("cri-o 2-3 x86_64 1", values=ZYPPER, **lock) == [("cri-o", "2-3", True, True)]
    for manager in ({"rpm_manager": "dnf4"}, {"rpm_manager": "nobody's"}, {}):
        assert rpm("cri-o 2-3 x86_64 1", values=manager, **lock) == [("cri-o", "2-3", False, True)]


def test_rpm_that_was_stopped_has_two_versions() -> None:
    both = ["cri-o 3-1 x86_64 20", "cri-o 2-1 x86_64 10"]
    for lines in (both, both[::-1]):
        assert rpm(*lines) == [("cri-o", "3-1", False, False)]
        found = packages.parse(Reading(texts={"rpm": lines}), NAMES)
        assert found["dpkg_interrupted"]
        # the control: another process is between the two
        at_work = {"dpkg_at_work": "7 dnf"}
        found = packages.parse(Reading(values=at_work, texts={"rpm": lines}), NAMES)
        assert (found["dpkg_interrupted"], found["dpkg_at_work"]) == (False, "7 dnf")
    # one for each architecture is as it should be
    assert rpm("cri-o 3-1 x86_64 20", "cri-o 3-1 i686 10") == [("cri-o", "3-1", False, True)]


@pytest.mark.parametrize("path", rpm_locks.FILES)
def test_locks_that_cannot_be_read_are_an_error(path: str) -> None:
    lines = {"rpm": ["cri-o 2-3 x86_64 1"]}
    with pytest.raises(ProbeError, match=path):
        packages.parse(Reading(texts=lines, unreadable=frozenset({path})), NAMES)
    # where there is no such package its locks do not matter
    nothing = packages.parse(Reading(unreadable=frozenset({path})), NAMES)
    assert nothing["installed"] == []


def test_locks_that_dnf5_cannot_read_are_an_error() -> None:
    with pytest.raises(ProbeError, match=r"versionlock\.toml"):
        rpm(
            "cri-o 2-3 x86_64 1",
            values={"rpm_manager": "dnf5"},
            **{"/etc/dnf/versionlock.toml": ["[[packages]"]},
        )


def test_a_manager_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(ProbeError):
        packages.parse(Reading(unreadable=frozenset({"package"})), NAMES)


def test_the_exit_codes_of_rpm_are_the_number_of_names() -> None:
    assert "case $status in 0 | 1 | 2) said rpm" in packages.shell(NAMES)
    assert "case $status in 0 | 1) said rpm" in packages.shell(NAMES[:1])


@given(st.lists(st.text(max_size=40)), st.lists(st.text(max_size=40)))
def test_any_lines_are_packages_or_none(dpkg: list[str], rpm: list[str]) -> None:
    assert all(name in NAMES for name, *_ in parse(dpkg=dpkg, rpm=rpm))
