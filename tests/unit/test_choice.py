"""Which of a source's versions is installed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from kubenode.packages.choice import choose, is_series, release_name, satisfies, upstream_of

DOCKER = [
    "2.4.0~rc.1-1~ubuntu.24.04~noble",
    "2.3.3-1~ubuntu.24.04~noble",
    "2.3.1-1~ubuntu.24.04~noble",
    "2.2.6-1~ubuntu.24.04~noble",
    "1.7.29-1~ubuntu.24.04~noble",
    "1.7.27-1",
]
ENGINE = ["5:29.7.2-1~debian.13~trixie", "5:28.5.2-1~debian.13~trixie"]
EL9 = ["2.2.6-2.el9", "2.2.6-1.el9", "1.7.27-3.1.el9"]


@pytest.mark.parametrize(
    ("package", "upstream"),
    [
        ("1.6.20~ds1-1+deb12u1", "1.6.20"),
        ("1.7.24~ds1-6+deb13u1", "1.7.24"),
        ("2.1.9+ds1-1", "2.1.9"),
        ("1.7.28-0ubuntu1~24.04.1", "1.7.28"),
        ("2.2.1-0ubuntu1~26.04.1", "2.2.1"),
        ("2.3.3-1~ubuntu.24.04~noble", "2.3.3"),
        ("2.4.0~rc.1-1~debian.13~trixie", "2.4.0rc1"),
        ("2.4.0~beta1+ds1-1", "2.4.0b1"),
        ("2.4.0-beta.0", "2.4.0b0"),
        ("v2.3.4", "2.3.4"),
        ("2.2.6-1.el9", "2.2.6"),
        ("0:2.2.6-1.el9", "2.2.6"),
        ("2.4.0-0.1.rc.1.fc41", "2.4.0rc1"),
        ("2.4.0-0.rc1.fc41", "2.4.0rc1"),
        ("1.7.24-0.fc41", "1.7.24"),
        ("5:29.7.2-1~debian.13~trixie", "29.7.2"),
        ("20.10.24+dfsg1-1+deb12u1", "20.10.24"),
        ("1.36.3-150500.1.1", "1.36.3"),
        ("1.1.1w-0+deb11u1", "1.1.1"),
        ("2.1.9~git20260101.abc-1", "2.1.9.dev0"),
        ("2.1.9~20.04-1", "2.1.9"),
        ("latest", None),
        ("", None),
        ("1" * 5000, None),
    ],
)
def test_the_upstream_release_of_a_package(package: str, upstream: str | None) -> None:
    assert upstream_of(package) == (Version(upstream) if upstream else None)


@pytest.mark.parametrize("name", ["2.3.4", "2.4.0-beta.0", "2.4.0-rc.1"])
def test_a_release_is_named_as_upstream_does(name: str) -> None:
    upstream = upstream_of(name)
    assert upstream is not None
    assert release_name(upstream) == name


@pytest.mark.parametrize(
    ("available", "wanted", "chosen"),
    [
        (DOCKER, None, "2.3.3-1~ubuntu.24.04~noble"),
        (DOCKER, "2", "2.3.3-1~ubuntu.24.04~noble"),
        (DOCKER, "2.3", "2.3.3-1~ubuntu.24.04~noble"),
        (DOCKER, "2.3.1", "2.3.1-1~ubuntu.24.04~noble"),
        (DOCKER, "2.3.1-1~ubuntu.24.04~noble", "2.3.1-1~ubuntu.24.04~noble"),
        (DOCKER, "1.7", "1.7.29-1~ubuntu.24.04~noble"),
        (DOCKER, "1.7.27", "1.7.27-1"),
        (DOCKER, "1.7.2", None),
        (DOCKER, "1", "1.7.29-1~ubuntu.24.04~noble"),
        (DOCKER, "2.4", None),
        (DOCKER, "2.4.0", None),
        (DOCKER, "2.4.0-rc.1", "2.4.0~rc.1-1~ubuntu.24.04~noble"),
        (DOCKER, "2.4.0~rc.1", "2.4.0~rc.1-1~ubuntu.24.04~noble"),
        (DOCKER, "2.4.0-rc.2", None),
        (ENGINE, "29", "5:29.7.2-1~debian.13~trixie"),
        (ENGINE, "29.7.2-1~debian.13~trixie", "5:29.7.2-1~debian.13~trixie"),
        (ENGINE, "5:28.5.2-1~debian.13~trixie", "5:28.5.2-1~debian.13~trixie"),
        (ENGINE, "5", None),
        (EL9, "2.2", "2.2.6-2.el9"),
        (EL9, "2.2.6", "2.2.6-2.el9"),
        (EL9, "2.2.6-1.el9", "2.2.6-1.el9"),
        (EL9, "1.7.27-3.1.el9", "1.7.27-3.1.el9"),
        (["2.3", "2.3.4"], "2.3", "2.3"),
        (["2.4.0~rc.1-1"], None, None),
        (["nightly"], None, "nightly"),
        ([], None, None),
        ([], "2.3", None),
    ],
)
def test_the_version_that_is_chosen(
    available: list[str], wanted: str | None, chosen: str | None
) -> None:
    choice = choose(available, wanted)
    assert choice.version == chosen
    assert (choice.refusal is None) == (chosen is not None)


def test_a_refusal_says_what_the_source_has() -> None:
    assert choose(["1.7.24~ds1-6"], "2.3").refusal == "has no 2.3: it has 1.7.24~ds1-6"
    assert choose([], "2.3").refusal == "has no 2.3: it has none"
    many = [f"1.7.{patch}-1" for patch in range(30, 0, -1)]
    assert str(choose(many, "2.3").refusal).endswith("1.7.23-1 and 22 older ones")


def test_a_refusal_names_the_pre_release_that_is_not_taken() -> None:
    said = choose(DOCKER, "2.4").refusal
    assert said is not None
    assert said.endswith("taken when it is named in full (2.4.0~rc.1-1~ubuntu.24.04~noble)")


def test_where_nothing_is_asked_for_the_newest_that_fits_is_taken() -> None:
    assert choose(DOCKER, fits=lambda own: own < Version("2")).version == DOCKER[4]
    assert choose(DOCKER, fits=lambda own: own >= Version("3")).version is None
    # what nobody can place fits nothing
    assert choose(["nightly"], fits=lambda own: True).version is None


def test_the_package_managers_own_candidate_comes_first_if_it_fits() -> None:
    pinned = DOCKER[3]
    assert choose(DOCKER, candidate=pinned).version == pinned
    assert (
        choose(DOCKER, candidate=pinned, fits=lambda own: own > Version("2.3")).version
        == (DOCKER[1])
    )
    assert choose(DOCKER, candidate="9.9.9-1").version == DOCKER[1]
    assert choose(DOCKER, "2.3", candidate=pinned).version == DOCKER[1]


@pytest.mark.parametrize(
    ("wanted", "series"),
    [("2.3", True), ("2", True), ("2.3.4", False), ("2.3-1", False), ("2.4.0-rc.1", False)],
)
def test_what_is_a_series(wanted: str, series: bool) -> None:
    assert is_series(wanted) is series


_NUMBERS = st.tuples(*[st.integers(0, 30)] * 3)
_REVISIONS = st.sampled_from(
    ["", "-1", "-1.el9", "~ds1-6+deb13u1", "+ds1-1", "-1~ubuntu.24.04~noble", "-0ubuntu1~24.04.1"]
)
_STAGES = st.sampled_from(["", "", "~rc.1", "~beta2", "-alpha.3"])
_PACKAGES = st.builds(
    lambda epoch, numbers, stage, revision: (
        f"{epoch}{'.'.join(map(str, numbers))}{stage}{revision}"
    ),
    st.sampled_from(["", "1:", "5:"]),
    _NUMBERS,
    _STAGES,
    _REVISIONS,
)
_ASKED = st.one_of(
    st.none(),
    st.integers(0, 30).map(str),
    st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda two: f"{two[0]}.{two[1]}"),
    _PACKAGES,
)


@given(st.lists(_PACKAGES, max_size=12), _ASKED)
def test_a_choice_is_the_first_of_the_source_that_is_as_asked(
    available: list[str], wanted: str | None
) -> None:
    choice = choose(available, wanted)
    if choice.version is None:
        assert choice.refusal
        assert not any(wanted is not None and satisfies(each, wanted) for each in available)
        return
    assert choice.version in available
    own = upstream_of(choice.version)
    assert own is not None
    if wanted is None or is_series(wanted):
        assert not own.is_prerelease
        newer = available[: available.index(choice.version)]
        assert not any(
            satisfies(each, wanted)
            if wanted is not None
            else not (upstream_of(each) or own).is_prerelease
            for each in newer
        )
    else:
        assert satisfies(choice.version, wanted)


@given(st.lists(_PACKAGES, max_size=12), st.integers(0, 30))
def test_with_a_limit_only_what_fits_is_taken(available: list[str], major: int) -> None:
    chosen = choose(available, fits=lambda own: own.major == major).version
    fitting = [
        each
        for each in available
        if (own := upstream_of(each)) and own.major == major and not own.is_prerelease
    ]
    assert chosen == (fitting[0] if fitting else None)


@given(st.text(max_size=300))
def test_any_text_is_a_version_or_none(text: str) -> None:
    upstream_of(text)
    choose([text], text[:5] or None)
