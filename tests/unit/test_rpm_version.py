"""RPM versions in rpm's order; tests/end_to_end asks rpm itself."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.packages import rpm_version
from kubenode.packages.rpm_version import compare, compare_parts, newest_first

# as of rpm's tests/rpmvercmp.at, rewritten
OLDER_AND_NEWER = [
    ("1.0", "2.0"), ("2.0", "2.0.1"), ("2.0.1", "2.0.1a"), ("5.5p1", "5.5p2"), ("5.5p1", "5.5p10"),
    ("10xyz", "10.1xyz"), ("xyz10", "xyz10.1"), ("xyz.4", "8"), ("xyz.4", "2"), ("5.5p2", "5.6p1"),
    ("5.6p1", "6.5p1"), ("6.0", "6.0.rc1"), ("10a2", "10b2"), ("1.0a.a1", "1.0aa"),
    ("10.0001", "10.0039"), ("4.999.9", "5.0"), ("20101121", "20101122"), ("1.0~rc1", "1.0"),
    ("1.0~rc1", "1.0~rc2"), ("1.0~rc1~git123", "1.0~rc1"), ("1.0", "1.0^"), ("1.0", "1.0^git1"),
    ("1.0^git1", "1.0^git2"), ("1.0^git1", "1.01"), ("1.0^20160101", "1.0.1"),
    ("1.0^20160101^git1", "1.0^20160102"), ("1.0~rc1", "1.0~rc1^git1"),
    ("1.0^git1~pre", "1.0^git1"),
]  # fmt: skip
SAME = [
    ("2.0", "2_0"),
    ("1.0", "1.0"),
    ("10.0001", "10.1"),
    ("a+", "a_"),
    ("1.05", "1.5"),
    ("+", "_"),
]

_VERSIONS = st.text("0123abAZ.~^-_+", max_size=12)


@pytest.mark.parametrize(("older", "newer"), OLDER_AND_NEWER)
def test_the_newer_one_is_rpms(older: str, newer: str) -> None:
    assert (compare_parts(older, newer), compare_parts(newer, older)) == (-1, 1)


@pytest.mark.parametrize(("one", "two"), SAME)
def test_what_rpm_does_not_tell_apart(one: str, two: str) -> None:
    assert compare_parts(one, two) == 0


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("2.1.9-1.el9", "1:1.0-1.el9"),
        ("2.2.6-1.el9", "2.2.6-2.el9"),
        ("2.4.0~rc.1-3.fc44", "2.4.0-1.fc44"),
        ("5:2.0-1", "5:2.0.1-1"),
    ],
)
def test_epoch_and_release_count(older: str, newer: str) -> None:
    assert (compare(older, newer), compare(newer, older)) == (-1, 1)


def test_no_epoch_is_zero_and_no_release_is_any() -> None:
    assert compare("0:2.1-1", "2.1-1") == 0
    assert compare("2.1", "2.1-9") == 0


@given(_VERSIONS, _VERSIONS)
def test_one_is_older_where_the_other_is_newer(one: str, two: str) -> None:
    assert compare(one, two) == -compare(two, one)
    assert compare(one, one) == 0


@given(_VERSIONS, _VERSIONS, _VERSIONS)
def test_the_order_is_one(one: str, two: str, three: str) -> None:
    if compare_parts(one, two) <= 0 and compare_parts(two, three) <= 0:
        assert compare_parts(one, three) <= 0


@given(st.lists(st.text(max_size=10), max_size=8))
def test_any_texts_are_ordered_each_once(versions: list[str]) -> None:
    ordered = newest_first(versions)
    assert sorted(ordered) == sorted(set(versions))
    assert all(rpm_version.compare(a, b) >= 0 for a, b in pairwise(ordered))
