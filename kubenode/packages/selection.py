"""Which packages are installed in which version, and which stay as they are; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from kubenode.packages.choice import choose, is_series, satisfies, upstream_of
from kubenode.packages.installation import Installed


@dataclass(frozen=True)
class Offer:
    """What there is of a package.

    + versions: newest first
    + preferred: what the package manager would take by itself
    """

    versions: Sequence[str]
    preferred: str | None = None


@dataclass(frozen=True)
class Selection:
    """What to do, or why not to. It is empty when there is nothing to do.

    + installs: version by name; None is what the package manager takes
    + now: version by name of what is installed of them
    + holds: names of packages that are held afterwards
    + blocked: why nothing may be done
    """

    installs: Mapping[str, str | None] = field(default_factory=dict)
    now: Mapping[str, str] = field(default_factory=dict)
    holds: tuple[str, ...] = ()
    blocked: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.installs or self.holds or self.blocked)


def select(
    names: Sequence[str],
    there: Collection[Installed],
    offers: Mapping[str, Offer] | None,
    version: str | Mapping[str, str] | None,
    hold: bool,
    where: str,
    newest: Collection[str] = (),
) -> Selection:
    """
    What to do so that packages are installed.

    + names: of the packages
    + there: what is installed of them
    + offers: what there is of each, None where nobody can tell
    + version: in full, a release or a series (:mod:`kubenode.packages.choice`); None leaves what is
      installed alone. By name where they differ: a name without one is as with None
    + hold: keep upgrades from them. False leaves a hold as it is
    + where: what the offers are of, in words
    + newest: names of packages without a version of their own, which become the newest that is
      offered; one that is newer already stays

    **Example:**

    .. code:: python

        select(["jq"], [], {"jq": Offer(["1.7.1-6"])}, None, True, "this host").installs
    """
    installed = {package.name: package for package in there}
    installs: dict[str, str | None] = {}
    refusals = []
    for name in names:
        package = installed.get(name)
        own = version.get(name) if isinstance(version, Mapping) else version
        offer = None if offers is None else offers.get(name, Offer(()))
        if (
            package is not None
            and package.configured
            and (own is None or satisfies(package.version, own))
            and not (name in newest and _is_older(package.version, offer))
        ):
            continue
        if offer is None:
            if own is not None and is_series(own):
                refusals.append(
                    f"{name}: nobody can tell which {own} there is, give the version in full"
                )
            installs[name] = own
            continue
        choice = choose(offer.versions, own, candidate=None if name in newest else offer.preferred)
        if choice.version is None:
            refusals.append(f"{name}: {where} {choice.refusal}")
        installs[name] = choice.version
    if refusals:
        return Selection(blocked="; ".join(refusals))
    held = {name for name, package in installed.items() if package.held}
    return Selection(
        installs,
        {name: installed[name].version for name in installs if name in installed},
        # a package that is installed again loses its hold
        tuple(
            name
            for name in dict.fromkeys(names)
            if (hold and name not in held) or (name in held and name in installs)
        ),
    )


def _is_older(version: str, offer: Offer | None) -> bool:
    """Whether there is a newer release than the one that is installed."""
    best = choose(offer.versions).version if offer is not None else None
    there, other = upstream_of(version), upstream_of(best) if best else None
    return there is not None and other is not None and other > there
