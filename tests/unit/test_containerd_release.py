"""The table of containerd's releases."""

from datetime import date

import pytest
from packaging.version import Version

from kubenode import release_facts
from kubenode.runtimes.containerd import releases


@pytest.mark.parametrize(
    ("output", "version"),
    [
        (
            "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3\n",
            "1.6.20",
        ),
        (
            "containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6+deb13u1",
            "1.7.24",
        ),
        ("containerd github.com/containerd/containerd/v2 2.1.9+unknown ", "2.1.9"),
        (
            "containerd github.com/containerd/containerd v1.7.27 "
            "05044ec0a9a75232cad458027ca83437aae3f4da",
            "1.7.27",
        ),
        ("containerd github.com/containerd/containerd/v2 v2.0.0-rc.1 fd7e9c4", "2.0.0rc1"),
        ("containerd github.com/containerd/containerd/v2 v2.0.0-beta.2 x", "2.0.0b2"),
        ("containerd containerd.io 1.7.27 05044ec", "1.7.27"),
        ("a warning\ncontainerd github.com/containerd/containerd v1.7.0 1fbd70374134", "1.7.0"),
        ("", None),
        ("sh: containerd: not found", None),
        ("containerd github.com/containerd/containerd", None),
    ],
)
def test_version_of_what_the_program_prints(output: str, version: str | None) -> None:
    assert releases.parse_version(output) == (Version(version) if version else None)


@pytest.mark.parametrize(
    ("version", "config_version"),
    [
        ("1.4.13", 2),
        ("1.6.20", 2),
        ("1.7.24", 2),
        ("2.0.0rc1", 3),
        ("2.1.9", 3),
        ("2.2.5", 3),
        ("2.3.4", 4),
        ("2.4.0b0", 4),
        ("2.4.0", 4),
    ],
)
def test_row_of_a_release(version: str, config_version: int) -> None:
    assert releases.highest_config_version(Version(version)) == config_version


def test_newer_releases_get_the_newest_row_and_older_ones_the_oldest() -> None:
    newest, oldest = releases.RELEASES[-1], releases.RELEASES[0]
    for version in ("2.5.0", "2.10.1", "3.0.0"):
        assert releases.release_of(Version(version)) is newest
        assert releases.is_newer_than_known(Version(version))
    assert releases.release_of(Version("1.2.0")) is oldest
    assert not releases.is_newer_than_known(Version("2.4.9"))


def test_rows_are_in_order() -> None:
    series = [release.series for release in releases.RELEASES]
    assert series == sorted(series)


def test_what_came_with_a_release() -> None:
    old, new = releases.release_of(Version("1.7.24")), releases.release_of(Version("2.1.9"))
    assert (old.has_runtime_config, new.has_runtime_config) == (False, True)
    assert (old.drop_in_replaces_plugin, new.drop_in_replaces_plugin) == (True, False)
    assert (old.migrates_version_1_cri, new.migrates_version_1_cri) == (True, False)
    assert releases.release_of(Version("2.3.0")).migrates_version_1_cri
    assert new.end_of_life == date(2026, 7, 3)


def test_releases_that_refuse_a_higher_version() -> None:
    refusing = [
        version
        for version in ("1.4.13", "1.6.20", "1.6.32", "1.7.0", "1.7.16", "1.7.17", "2.1.9")
        if releases.refuses_higher_version(Version(version))
    ]
    assert refusing == ["1.6.32", "1.7.17", "2.1.9"]
    drop_ins = [
        version
        for version in ("2.2.5", "2.3.0", "2.3.4", "2.3.5")
        if releases.refuses_higher_drop_in(Version(version))
    ]
    assert drop_ins == ["2.3.0", "2.3.4"]


def test_releases_that_take_relative_patterns_from_the_root() -> None:
    from_root = [
        version
        for version in ("1.4.13", "1.6.20", "1.6.29", "1.7.15", "1.7.16", "2.1.9")
        if releases.globs_from_root(Version(version))
    ]
    assert from_root == ["1.4.13", "1.6.20", "1.7.15"]


def test_the_releases_that_upstream_supports_on_the_day_of_the_facts() -> None:
    supported = [
        str(release.series)
        for release in releases.RELEASES
        if release.end_of_life >= release_facts.AS_OF
    ]
    assert supported == ["2.0", "2.3", "2.4"]


@pytest.mark.parametrize(
    "version",
    [
        "1.7.24~ds1-6+deb13u1",
        "1.7.24-1.fc41",
        "2:1.6.20",
        "2.3.3-1~ubuntu.24.04~noble",
        "2.3.4",
        "2.4.0-rc.1",
        "2.3",
        None,
    ],
)
def test_package_versions(version: str | None) -> None:
    assert releases.check_package_version(version) == version


@pytest.mark.parametrize("version", ["", "1.7 24", "1.7.*", "-y", "1.7\n", "latest", 1.7])
def test_what_is_no_package_version(version: object) -> None:
    with pytest.raises(ValueError, match="is no version: write a release"):
        releases.check_package_version(version)
