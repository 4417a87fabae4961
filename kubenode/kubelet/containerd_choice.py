"""Which containerd a node gets: of those that a source has, the one for its Kubernetes release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from packaging.version import Version

from kubenode.kubelet import releases as kubernetes_releases
from kubenode.packages.choice import (
    choose,
    is_series,
    listed,
    release_name,
    satisfies,
    upstream_of,
)
from kubenode.runtimes.containerd import releases as containerd_releases

_SOURCES = {
    "distribution": "the distribution",
    "docker": "Docker's repository",
    "archive": "the archive",
}
_OTHER_SOURCES = {
    "distribution": (
        'kubenode_containerd_source="docker" (Docker\'s repository)',
        "an archive (docs/sources.md)",
    ),
    "docker": ("kubenode_containerd_source to an archive (docs/sources.md)",),
}
"""Where newer releases are, by the source that is asked."""


@dataclass(frozen=True)
class Decision:
    """What becomes of containerd on a host.

    + version: the package's version to install, in full, as the source has it; None leaves what is
      there
    + refusal: why the host cannot have what it needs; nothing may be changed on it then
    + warnings: what the user is told, a sentence each, whether anything is installed or not
    """

    version: str | None = None
    refusal: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """What is asked for.

    + version: a package's version, a release, a series, or None, see
      :func:`kubenode.packages.choice.choose`
    + kubernetes: the release the node is for, such as (1, 37); None: any
    + source: ``distribution``, ``docker``, ``archive``, or another source's name
    """

    version: str | None
    kubernetes: tuple[int, int] | None
    source: str


@dataclass(frozen=True)
class Present:
    """The containerd that a host has.

    + release: what ``containerd --version`` says; None: it does not say
    + package: its package's version; None: it is from no package of the source that is asked
    """

    release: Version | None
    package: str | None = None


def decide(
    asked: Asked,
    available: Sequence[str] | None,
    present: Present | None,
    today: date,
    *,
    candidate: str | None = None,
) -> Decision:
    """
    The containerd to install, or to leave as it is, or why the host is refused.

    + asked: version, Kubernetes release and source
    + available: the versions that the source has, newest first; None: it cannot be told
    + present: what is installed, from whatever source; None: nothing
    + today: for ends of support
    + candidate: what the package manager would install by itself

    Nothing asked for leaves a containerd alone that is there. With a Kubernetes release it is left
    alone if it fits, else the newest that fits is installed. A series is the newest of it that the
    source has: one that is there is changed for a newer patch, never for an older one. A version
    that is named is installed although it does not fit, with a warning.

    **Example:**

    .. code:: python

        asked = Asked(None, (1, 37), "distribution")
        decide(asked, ["1.7.24~ds1-6+deb13u1"], None, date.today()).refusal
    """
    row = None if asked.kubernetes is None else kubernetes_releases.release_of(asked.kubernetes)
    if present is not None and asked.version is None:
        if row is None or _fits(row, present.release):
            return Decision()
        if present.release is None:
            return Decision(
                refusal="cannot tell which containerd is installed, and so not whether it fits "
                f"{_kubernetes(asked)}, which needs {kubernetes_releases.containerd_wanted(row)}"
            )
    if present is not None and _is_as_asked(asked, available, present):
        return Decision(warnings=_misfit(asked, row, present.release))
    source = _SOURCES.get(asked.source, asked.source)
    if available is None:
        return Decision(refusal=f"cannot tell which versions of containerd {source} has")
    fits = None if row is None else lambda version: _fits(row, version)
    choice = choose(available, asked.version, fits=fits, candidate=candidate)
    if choice.version is None:
        if asked.version is not None:
            return Decision(refusal=f"{source} {choice.refusal}{_elsewhere(asked)}")
        return Decision(refusal=_none_fits(asked, row, available, present))
    release = upstream_of(choice.version)
    return Decision(
        choice.version,
        warnings=(
            *_misfit(asked, row, release),
            *_unsupported(asked, available, release, today),
        ),
    )


def _fits(row: kubernetes_releases.Release | None, version: Version | None) -> bool:
    if row is None or version is None:
        return row is None
    return kubernetes_releases.supports_containerd(row, version)


def _is_as_asked(asked: Asked, available: Sequence[str] | None, present: Present) -> bool:
    """Whether the version that is asked for is there, and for a series no newer patch of it."""
    if asked.version is None:
        return False
    names = [present.package] if present.package else []
    names += [release_name(present.release)] if present.release else []
    if not any(satisfies(name, asked.version) for name in names):
        return False
    if not is_series(asked.version) or not present.release:
        return True
    newest = choose(available or (), asked.version).version
    release = upstream_of(newest) if newest else None
    return release is None or release <= present.release


def _kubernetes(asked: Asked) -> str:
    return "Kubernetes " + ".".join(map(str, asked.kubernetes or ()))


def _none_fits(
    asked: Asked,
    row: kubernetes_releases.Release | None,
    available: Sequence[str],
    present: Present | None,
) -> str:
    source = _SOURCES.get(asked.source, asked.source)
    if row is None:
        return f"{source} has no release of containerd: it has {listed(available)}"
    needs = kubernetes_releases.containerd_wanted(row)
    there = ""
    if present is not None and present.release is not None:
        there = f"containerd {release_name(present.release)} is installed and does not fit; "
    named = ", or name one of these in kubenode_containerd_version" if available else ""
    return (
        f"{_kubernetes(asked)} needs {needs}: {there}{source} has {listed(available)}"
        f"{_elsewhere(asked)}{named}"
    )


def _elsewhere(asked: Asked) -> str:
    """The settings with which other releases can be had, behind what a source has."""
    others = _OTHER_SOURCES.get(asked.source)
    return f"; set {' or '.join(others)}" if others else ""


def _misfit(
    asked: Asked, row: kubernetes_releases.Release | None, release: Version | None
) -> tuple[str, ...]:
    if row is None or release is None or _fits(row, release):
        return ()
    return (
        f"containerd {release_name(release)} is asked for by version, and {_kubernetes(asked)} "
        f"needs {kubernetes_releases.containerd_wanted(row)}",
    )


def _unsupported(
    asked: Asked, available: Sequence[str], release: Version | None, today: date
) -> tuple[str, ...]:
    """That upstream no longer supports a release, and where a newer one is."""
    ended = _ended(release, today)
    if release is None or ended is None:
        return ()
    for version in available:
        own = upstream_of(version)
        if own and not own.is_prerelease and own > release and _ended(own, today) is None:
            where = f"; {_SOURCES.get(asked.source, asked.source)} has {version} too"
            break
    else:
        others = _OTHER_SOURCES.get(asked.source)
        where = f"; {' or '.join(others)} has a newer one" if others else ""
    return (
        f"containerd {release_name(release)}: upstream's support of {release.major}."
        f"{release.minor} ended on {ended}{where}",
    )


def _ended(release: Version | None, today: date) -> date | None:
    """The last day of upstream's support, None of a release that is supported."""
    if release is None or containerd_releases.is_newer_than_known(release):
        return None
    end = containerd_releases.release_of(release).end_of_life
    return end if today > end else None
