"""Which of the versions that a source has is installed, or why none is.

A version is asked for in full, by its release (``2.3.4``), by a series (``2.3``), or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from packaging.version import Version

_UPSTREAM = re.compile(
    r"""
    (?:\d+:)?  v?  (?P<number>\d+(?:\.\d+)*)
    (?:
        # 2.4.0-rc.1, 2.4.0~rc.1-1, 2.4.0~beta1+ds1-1; ~ds1, ~dfsg and ~24.04.1 are no stages
        [-~.+_]?  (?P<stage>alpha|beta|rc|pre)  (?![a-z])  [-~.]?  (?P<count>\d{0,9})
        |
        ~  (?P<snapshot>git|snapshot|dev)
        |
        # the release of an RPM that is older than its version's: 2.4.0-0.1.rc.1.fc41
        -0\.(?:\d+\.)?  (?P<rpm_stage>alpha|beta|rc)  \.?  (?P<rpm_count>\d{0,9})
    )?
    """,
    re.VERBOSE | re.ASCII,
)
_STAGES = {"alpha": "a", "beta": "b", "rc": "rc", "pre": "rc"}
_WORDS = {"a": "alpha", "b": "beta", "rc": "rc"}

_RELEASE = re.compile(r"v?\d+(?:\.\d+)*(?:[-~](?:alpha|beta|rc)\.?\d+)?", re.ASCII)
"""What names a release or a series of upstream, and not a package's version in full."""

_LONGEST = 256
"""Characters of a version that is read."""

_MOST_NAMED = 8
"""Versions that a message names."""


@dataclass(frozen=True)
class Choice:
    """The version to install, or why there is none: one of the two is None.

    + version: the package's, in full, as the source has it
    + refusal: why none of the source's will do: what it has, in words
    """

    version: str | None = None
    refusal: str | None = None


def upstream_of(version: str) -> Version | None:
    """The upstream release in a package's version, None where there is none to be told.

    + version: of a Debian package, an RPM or an archive, with or without epoch and revision

    What a distribution appends is left out. A snapshot (``~git…``) is older than its release.

    **Example:**

    .. code:: python

        upstream_of("1.7.24~ds1-6+deb13u1")  # Version("1.7.24")
        upstream_of("2.4.0~rc.1-1~debian.13~trixie")  # Version("2.4.0rc1")
    """
    found = _UPSTREAM.match(version) if len(version) <= _LONGEST else None
    if not found:
        return None
    if found["snapshot"]:
        return Version(f"{found['number']}.dev0")
    if stage := found["stage"] or found["rpm_stage"]:
        count = found["count"] or found["rpm_count"] or "0"
        return Version(f"{found['number']}{_STAGES[stage]}{count}")
    return Version(found["number"])


def release_name(version: Version) -> str:
    """An upstream release as upstream writes it.

    + version: such as ``Version("2.4.0rc1")``, which is ``2.4.0-rc.1``
    """
    if version.pre is None:
        return version.base_version
    stage, count = version.pre
    return f"{version.base_version}-{_WORDS[stage]}.{count}"


def satisfies(version: str, wanted: str) -> bool:
    """Whether a package's version is the one that is asked for, or of it.

    + version: of a package, in full
    + wanted: the same, an RPM's version without its release, a release (``2.3.4``) or a series
      (``2.3``, ``2``). A series has no pre-releases; a release names its own only

    **Example:**

    .. code:: python

        satisfies("2.3.3-1~ubuntu.24.04~noble", "2.3")  # True
    """
    if version == wanted or without_epoch(version) == wanted:
        return True
    if not _RELEASE.fullmatch(wanted):
        return version.startswith(f"{wanted}-") or without_epoch(version).startswith(f"{wanted}-")
    asked, own = upstream_of(wanted), upstream_of(version)
    if asked is None or own is None:
        return False
    if asked.is_prerelease or own.is_prerelease:
        return asked == own
    return _is_of(own, asked)


def _is_of(own: Version, series: Version) -> bool:
    return own.release[: len(series.release)] == series.release


def without_epoch(version: str) -> str:
    """A package's version without its epoch, which ``containerd --version`` does not know.

    + version: such as ``5:29.7.2-1~debian.13~trixie``
    """
    return re.sub(r"^\d+:", "", version)


def is_series(wanted: str) -> bool:
    """Whether a series is asked for, and no release or version.

    + wanted: as :func:`choose` takes it; a series has one number or two
    """
    return re.fullmatch(r"v?\d+(\.\d+)?", wanted, re.ASCII) is not None


def choose(
    available: Sequence[str],
    wanted: str | None = None,
    *,
    fits: Callable[[Version], bool] | None = None,
    candidate: str | None = None,
) -> Choice:
    """
    The version to install.

    + available: the versions that the source has, newest first in the package manager's own order
    + wanted: a version in full, a release (``2.3.4``), a series (``2.3``: the newest of it that
      the source has), or None
    + fits: whether an upstream release will do; it decides only where nothing is *wanted*: then
      the newest that fits is taken. None: all do
    + candidate: what the package manager would install by itself, which obeys the host's pins;
      taken before newer ones where nothing is *wanted* and it fits

    A pre-release is taken only if it is named (``2.4.0-rc.1``, or in full).

    **Example:**

    .. code:: python

        choose(["2.3.3-1~debian.13~trixie", "2.2.6-1~debian.13~trixie"], "2.2").version
    """
    if wanted is not None:
        # in full before as a release: a package's own version may look like one
        for version in (*(each for each in available if each == wanted), *available):
            if satisfies(version, wanted):
                return Choice(version)
        return Choice(
            refusal=f"has no {wanted}: it has {listed(available)}{_hint(available, wanted)}"
        )
    first = [each for each in available if each == candidate]
    for version in (*first, *available):
        own = upstream_of(version)
        if own is None:
            if fits is None:
                return Choice(version)
        elif not own.is_prerelease and (fits is None or fits(own)):
            return Choice(version)
    return Choice(refusal=f"has {listed(available)}")


def _hint(available: Sequence[str], wanted: str) -> str:
    """Why a series that the source has is not taken."""
    asked = upstream_of(wanted)
    for version in available:
        own = upstream_of(version)
        if asked and own and own.is_prerelease and _is_of(own, asked):
            return f"; a pre-release is taken when it is named in full ({version})"
    return ""


def listed(available: Sequence[str]) -> str:
    """Versions in words, the first of many.

    + available: the versions that a source has
    """
    if not available:
        return "none"
    more = len(available) - _MOST_NAMED
    named = ", ".join(available[:_MOST_NAMED])
    return f"{named} and {more} older ones" if more > 0 else named
