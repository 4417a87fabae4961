"""What differs between containerd's releases, as far as configuring a node needs it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from packaging.version import Version

from kubenode.files import go_keys


@dataclass(frozen=True)
class Release:
    """A release series, such as 1.7, and what holds for all its releases."""

    series: Version
    config_version: int
    """The highest configuration version it takes, see also :func:`refuses_higher_version`."""
    end_of_life: date
    """The last day upstream takes fixes, the last of the month where upstream names a month."""
    is_lts: bool
    has_runtime_config: bool
    """Whether CRI's RuntimeConfig tells kubelet the cgroup driver."""
    migrates_version_1_cri: bool
    """Whether CRI's settings in a version 1 file take effect, or survive ``config migrate``. 2.0 to
    2.2 rename the table and then ignore it, without a word."""
    drop_in_replaces_plugin: bool
    """Whether a drop-in that states one key of a plugin replaces all the main file says of it
    (1.x). Otherwise it replaces single keys."""
    folds: go_keys.Decoder
    """How it folds the case of keys in its configuration."""


def _release(
    series: str,
    config_version: int,
    end_of_life: str,
    is_lts: bool = False,
) -> Release:
    number = Version(series)
    return Release(
        series=number,
        config_version=config_version,
        end_of_life=date.fromisoformat(end_of_life),
        is_lts=is_lts,
        has_runtime_config=number >= Version("2.0"),
        migrates_version_1_cri=not Version("2.0") <= number < Version("2.3"),
        drop_in_replaces_plugin=number < Version("2.0"),
        folds=go_keys.go_toml_1 if number < Version("2.0") else go_keys.any_case,
    )


RELEASES: tuple[Release, ...] = (
    _release("1.4", 2, "2022-03-03"),
    _release("1.5", 2, "2023-02-28"),
    _release("1.6", 2, "2025-08-23"),
    _release("1.7", 2, "2026-09-30", is_lts=True),
    _release("2.0", 3, "2027-03-31", is_lts=True),
    _release("2.1", 3, "2026-07-03"),
    _release("2.2", 3, "2026-11-06"),
    _release("2.3", 4, "2028-04-30", is_lts=True),
    _release("2.4", 4, "2027-04-26"),
)
"""Oldest first. From containerd's RELEASES.md and its source; :mod:`kubenode.release_facts` has the
date. 2.0 is in extended support, by two of its maintainers; the end of 2.4 is what upstream planned
before that release."""

_VERSION = re.compile(
    r"^containerd\s+\S+\s+v?"
    r"(\d+\.\d+\.\d+)(?:-?(alpha|beta|rc)\.?(\d+))?",
    re.MULTILINE,
)


def parse_version(output: str) -> Version | None:
    """The version in what ``containerd --version`` prints, None when there is none.

    + output: such as ``containerd github.com/containerd/containerd/v2 2.1.9+unknown``

    What a distribution appends (``~ds1``, ``+unknown``) is left out.
    """
    found = _VERSION.search(output)
    if not found:
        return None
    number, stage, count = found.groups()
    return Version(f"{number}{stage}{count}" if stage else number)


def release_of(version: Version) -> Release:
    """The row for *version*.

    One newer than the table gets the newest row: containerd keeps reading older configuration
    versions, so what is right for the newest known release is the best guess. One older than the
    table gets the oldest row.
    """
    series = Version(f"{version.major}.{version.minor}")
    known = [release for release in RELEASES if release.series <= series]
    return known[-1] if known else RELEASES[0]


def is_newer_than_known(version: Version) -> bool:
    """Whether :func:`release_of` has to guess because the table does not reach to *version*."""
    return (version.major, version.minor) > RELEASES[-1].series.release[:2]


def highest_config_version(version: Version) -> int:
    """The highest configuration version the release takes."""
    return release_of(version).config_version


def refuses_higher_version(version: Version) -> bool:
    """Whether a file of a higher configuration version than the release takes stops the daemon.

    Before 1.6.32 and 1.7.17 it starts, and ignores the tables whose names it does not know.
    """
    number = Version(version.base_version)
    return number >= Version("1.7.17") or Version("1.6.32") <= number < Version("1.7")


def refuses_higher_drop_in(version: Version) -> bool:
    """Whether a drop-in of a higher configuration version than the main file stops the daemon."""
    return Version("2.3") <= Version(version.base_version) < Version("2.3.5")


def drop_in_trouble(
    root: str, root_version: int, drop_in: str, drop_in_version: int, version: Version
) -> str | None:
    """Why an imported file's configuration version does harm, None when it does none.

    + root, root_version: the main file's path and configuration version
    + drop_in, drop_in_version: those of a file it imports; a file that states none has the root's
    + version: containerd's
    """
    if drop_in_version == root_version:
        return None
    release = release_of(version)
    what = f"version {drop_in_version} beside version {root_version} in {root}"
    if drop_in_version > release.config_version:
        return f"{what}: containerd {version} takes {release.config_version} at most"
    if drop_in_version > root_version:
        if refuses_higher_drop_in(version):
            return f"{what}: containerd {version} does not start"
        if release.series < Version("2.3"):
            return f"{what}: containerd {version} ignores the CRI settings of {root}"
        return None
    if release.drop_in_replaces_plugin:
        return f"{what}: containerd {version} ignores the CRI settings of both"
    if release.series < Version("2.3"):
        return f"{what}: containerd {version} ignores runtime handlers of {drop_in}"
    return None


def pods_survive(old: Version, new: Version) -> bool:
    """Whether running containers outlive a change from one release to another.

    containerd 1.x knows nothing of what 2.x has started, and ends it. Sources: seen with 2.1.9 ->
    1.7.24 and 1.6.20; containerd#11720.
    """
    return not (old.major >= 2 and new.major < 2)


def globs_from_root(version: Version) -> bool:
    """Whether a relative ``imports`` pattern with ``*`` is not relative to the file's directory."""
    number = Version(version.base_version)
    return number < Version("1.6.29") or Version("1.7") <= number < Version("1.7.16")


def check_package_version(version: object) -> str | None:
    """*version* itself when a package can be asked for by it, ValueError if not; None is any.

    + version: a package's own, such as ``1.7.24~ds1-6+deb13u1`` (Debian) or ``1.7.24-1.fc41``
      (RPM), a release, such as ``2.3.4``, or a series, such as ``2.3``
    """
    if version is None:
        return None
    if not isinstance(version, str) or not re.fullmatch(r"[0-9][0-9A-Za-z.+:~^_-]*", version):
        raise ValueError(
            f'{version!r} is no version: write a release such as "2.3.4", a series such as "2.3", '
            "or a package's version in full"
        )
    return version
