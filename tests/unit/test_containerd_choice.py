"""Which containerd a host gets, is left with, or is refused for."""

from __future__ import annotations

from datetime import date

import pytest
from packaging.version import Version

from kubenode.kubelet.containerd_choice import Asked, Decision, Present, decide

OWN = "distribution"
TODAY = date(2026, 11, 25)
BOOKWORM = ["1.6.20~ds1-1+deb12u1"]
TRIXIE = ["1.7.24~ds1-6+deb13u1"]
FORKY = ["2.1.9+ds1-1"]
DOCKER = [f"{release}-1~debian.13~trixie" for release in ("2.3.6", "2.3.3", "2.2.6", "1.7.29")]


def present(release: str, package: str | None = None) -> Present:
    return Present(Version(release), package)


@pytest.mark.parametrize(
    ("available", "kubernetes", "needs"),
    [
        (BOOKWORM, (1, 34), "containerd 1.6.39+ or 1.7.28+ or 2.0.6+ or 2.1.3+"),
        (TRIXIE, (1, 35), "containerd 1.7.28+ or 2.1.5+ or 2.2.0+"),
        (FORKY, (1, 36), "containerd 2.2.0+ or 2.3.0+"),
        (FORKY, (1, 37), "containerd 2.2.0+ or 2.3.0+"),
        # judged as the newest that is known
        (FORKY, (1, 99), "containerd 2.2.0+ or 2.3.0+"),
    ],
)
def test_a_source_without_a_release_that_fits_is_refused(
    available: list[str], kubernetes: tuple[int, int], needs: str
) -> None:
    decision = decide(Asked(None, kubernetes, OWN), available, None, TODAY)
    assert decision == Decision(
        refusal=f"Kubernetes 1.{kubernetes[1]} needs {needs}: the distribution has {available[0]}; "
        'set kubenode_containerd_source="docker" (Docker\'s repository) or '
        "an archive (docs/sources.md), or name one of these in kubenode_containerd_version"
    )


def test_the_newest_that_fits_the_kubernetes_release_is_taken() -> None:
    assert decide(Asked(None, (1, 37), "docker"), DOCKER, None, TODAY) == Decision(DOCKER[0])
    # 1.33 knew nothing newer than 2.1, and what is newer is good
    assert decide(Asked(None, (1, 33), "docker"), DOCKER, None, TODAY).version == DOCKER[0]


def test_where_the_hosts_pins_name_one_that_fits_it_is_taken() -> None:
    asked = Asked(None, (1, 37), "docker")
    decision = decide(asked, DOCKER, None, TODAY, candidate=DOCKER[2])
    assert decision.version == DOCKER[2]
    assert "support of 2.2 ended on 2026-11-06" in decision.warnings[0]
    assert f"Docker's repository has {DOCKER[0]} too" in decision.warnings[0]
    assert decide(asked, DOCKER, None, TODAY, candidate=DOCKER[3]).version == DOCKER[0]


@pytest.mark.parametrize(
    ("available", "ended"),
    [(BOOKWORM, "2025-08-23"), (TRIXIE, "2026-09-30"), (FORKY, "2026-07-03")],
)
def test_without_a_kubernetes_release_an_old_one_is_installed_with_a_warning(
    available: list[str], ended: str
) -> None:
    decision = decide(Asked(None, None, OWN), available, None, TODAY)
    assert decision.version == available[0]
    assert decision.refusal is None
    (warning,) = decision.warnings
    assert f"ended on {ended}" in warning
    assert 'kubenode_containerd_source="docker"' in warning


def test_no_warning_of_a_release_that_upstream_supports() -> None:
    assert decide(Asked(None, None, "docker"), DOCKER, None, TODAY) == Decision(DOCKER[0])
    assert decide(Asked("2.3.3", None, "docker"), DOCKER, None, TODAY) == Decision(DOCKER[1])
    # the table does not reach to it
    assert decide(Asked(None, None, OWN), ["2.9.0-1"], None, TODAY) == Decision("2.9.0-1")
    assert not decide(Asked(None, None, OWN), TRIXIE, None, date(2026, 9, 30)).warnings


def test_what_is_there_is_left_alone_where_nothing_else_is_asked_for() -> None:
    assert decide(Asked(None, None, OWN), TRIXIE, present("1.6.20"), TODAY) == Decision()
    assert decide(Asked(None, (1, 37), OWN), TRIXIE, present("2.2.7"), TODAY) == Decision()
    # nothing is asked of the source for it
    assert decide(Asked(None, (1, 37), OWN), None, present("2.2.7"), TODAY) == Decision()


def test_what_is_there_and_does_not_fit_is_changed_or_the_host_is_refused() -> None:
    old = present("1.7.24", TRIXIE[0])
    assert decide(Asked(None, (1, 37), "docker"), DOCKER, old, TODAY).version == DOCKER[0]
    refused = decide(Asked(None, (1, 37), OWN), TRIXIE, old, TODAY)
    assert refused.version is None
    assert "containerd 1.7.24 is installed and does not fit" in str(refused.refusal)
    assert 'kubenode_containerd_source="docker"' in str(refused.refusal)


def test_what_cannot_be_told_is_never_taken_for_right() -> None:
    unknown = decide(Asked(None, (1, 37), OWN), DOCKER, Present(None), TODAY)
    assert str(unknown.refusal).startswith("cannot tell which containerd is installed")
    for asked in (
        Asked(None, (1, 37), OWN),
        Asked("2.3", None, OWN),
        Asked(None, None, OWN),
    ):
        refused = decide(asked, None, None, TODAY)
        assert refused.refusal == "cannot tell which versions of containerd the distribution has"


def test_a_series_follows_its_newest_patch_and_never_goes_back() -> None:
    asked = Asked("2.3", None, "docker")
    assert decide(asked, DOCKER, present("2.3.3", DOCKER[1]), TODAY).version == DOCKER[0]
    assert decide(asked, DOCKER, present("2.3.6", DOCKER[0]), TODAY) == Decision()
    assert decide(asked, DOCKER, present("2.3.9"), TODAY) == Decision()
    assert decide(asked, DOCKER, present("2.2.6", DOCKER[2]), TODAY).version == DOCKER[0]
    assert decide(asked, DOCKER, present("2.4.0"), TODAY).version == DOCKER[0]
    # a source that has none of it changes nothing
    assert decide(asked, TRIXIE, present("2.3.3"), TODAY) == Decision()


@pytest.mark.parametrize(
    ("wanted", "there", "package", "changes"),
    [
        ("2.3.3", "2.3.3", DOCKER[1], False),
        ("2.3.3", "2.3.3", None, False),
        (DOCKER[1], "2.3.3", DOCKER[1], False),
        (DOCKER[1], "2.3.3", "2.3.3-2~debian.13~trixie", True),
        (DOCKER[1], "2.3.3", None, True),
        ("2.3.3", "2.3.6", DOCKER[0], True),
    ],
)
def test_a_version_that_is_named_is_installed_unless_it_is_there(
    wanted: str, there: str, package: str | None, changes: bool
) -> None:
    decision = decide(Asked(wanted, None, "docker"), DOCKER, present(there, package), TODAY)
    assert decision.version == (DOCKER[1] if changes else None)


def test_a_version_that_is_named_and_does_not_fit_is_installed_with_a_warning() -> None:
    asked = Asked("1.7", (1, 37), "docker")
    decision = decide(asked, DOCKER, None, TODAY)
    assert decision.version == DOCKER[3]
    misfit = (
        "containerd 1.7.29 is asked for by version, and Kubernetes 1.37 needs "
        "containerd 2.2.0+ or 2.3.0+"
    )
    assert decision.warnings[0] == misfit
    assert decide(asked, DOCKER, present("1.7.29"), TODAY) == Decision(warnings=(misfit,))


def test_a_version_that_the_source_does_not_have_is_refused_with_what_it_has() -> None:
    said = decide(Asked("2.3", None, OWN), TRIXIE, None, TODAY).refusal
    assert said == (
        f"the distribution has no 2.3: it has {TRIXIE[0]}; set "
        'kubenode_containerd_source="docker" (Docker\'s repository) or '
        "an archive (docs/sources.md)"
    )
    said = decide(Asked("2.9", None, "docker"), DOCKER, None, TODAY).refusal
    assert said is not None
    assert said.endswith("kubenode_containerd_source to an archive (docs/sources.md)")
    assert decide(Asked("2.9", None, "archive"), ["2.3.4"], None, TODAY).refusal == (
        "the archive has no 2.9: it has 2.3.4"
    )


def test_a_kubernetes_release_older_than_the_table_asks_for_nothing() -> None:
    decision = decide(Asked(None, (1, 20), OWN), TRIXIE, None, TODAY)
    assert decision.version == TRIXIE[0]
    assert not any("Kubernetes" in warning for warning in decision.warnings)


def test_a_source_of_pre_releases_only_is_refused() -> None:
    said = decide(Asked(None, None, OWN), ["2.4.0~rc.1-1"], None, TODAY).refusal
    assert said == "the distribution has no release of containerd: it has 2.4.0~rc.1-1"
