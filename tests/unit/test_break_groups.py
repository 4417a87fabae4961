"""Breaks that are tried together know nothing of each other."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from tests.end_to_end.break_groups import ALONE, groups, paths, subject
from tests.end_to_end.breaks import BREAKS, MODULES, Break

ONE = Break("one", "rm /etc/a", "network.proxy", "x", data={"k": "1"})
OTHER = Break("other", "rm /etc/b; : >/dev/null", "machine.disk", "x", undo="touch /etc/c")


def test_each_break_is_in_one_group() -> None:
    for breaks in (BREAKS, MODULES):
        names = [broken.name for group in groups(breaks) for broken in group]
        assert sorted(names) == sorted(broken.name for broken in breaks)
    assert len(groups(BREAKS)) < len(BREAKS) / 2


def test_none_of_a_group_finds_or_touches_what_another_does() -> None:
    for group in groups(BREAKS):
        assert len(group) == 1 or not {broken.name for broken in group} & ALONE.keys()
        for one, other in combinations(group, 2):
            assert one.finding != other.finding
            assert not paths(one) & paths(other)
            assert one.options == other.options


def test_who_is_alone_is_a_break() -> None:
    assert ALONE.keys() <= {broken.name for broken in BREAKS}


def test_two_that_have_nothing_in_common_are_together() -> None:
    assert groups([ONE, OTHER]) == [(ONE, OTHER)]


@pytest.mark.parametrize(
    "other",
    [
        replace(OTHER, finding="network.proxy"),
        replace(OTHER, script="rm /etc/a"),
        replace(OTHER, undo="rm -r /etc"),
        replace(OTHER, fix="rm /etc/a/b"),
        replace(OTHER, data={"k": "2"}),
        replace(OTHER, options=("--for", "1.36")),
        replace(OTHER, settings={"k": 1}),
        replace(OTHER, name=next(iter(ALONE))),
    ],
)
def test_two_that_have_something_in_common_are_not(other: Break) -> None:
    assert groups([ONE, other]) == [(ONE,), (other,)]


def test_what_follows_from_each_other_is_one_subject() -> None:
    assert subject("runtime.pause-image") == subject("containerd.registry")
    assert subject("sysctl.ip-forward.live") == subject("sysctl.ip-forward.boot")
    assert subject("runtime.held") != subject("runtime.pause-image")
    assert subject("network.proxy") != subject("network.hostname")


def test_paths_are_those_of_all_scripts() -> None:
    assert paths(OTHER) == {"/etc/b", "/etc/c"}
