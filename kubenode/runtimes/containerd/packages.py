"""The packages that containerd comes in, and what happens to others when one is exchanged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubenode.packages.left_alone import LeftAlone
from kubenode.packages.package_change import PackageChange
from kubenode.runtimes.runtime import CONTAINERD, DOCKER, MCR

_WITH_RUNC = "containerd.io"

RELATED = ("containerd", _WITH_RUNC, "runc")
"""Those of which one takes the other's place. ``containerd.io`` has runc in it."""

_GO_FOR: Mapping[str, tuple[str, ...]] = {
    "containerd": ("containerd.io",),
    "containerd.io": ("containerd", "runc"),
}
"""What goes when a package comes, by its name. Source: the relations of docker/packaging's
``pkg/containerd/deb/control`` (Provides, Conflicts, Replaces) and ``containerd.spec``."""

NEED_IT = tuple(name for row in (DOCKER, MCR) for names in row.packages.values() for name in names)
"""Packages of runtimes that depend on one of these, and go with it."""

DEFAULT = CONTAINERD.packages["distribution"][0]

LEFT_ALONE = LeftAlone(
    CONTAINERD.name,
    [name for names in CONTAINERD.packages.values() for name in names],
    CONTAINERD.units,
)
"""What unattended-upgrades and needrestart leave alone where containerd is held, whatever it is
from. runc is not among it: a newer one restarts nothing."""


def exchange(now: Mapping[str, str], name: str, version: str, hold: bool) -> PackageChange:
    """What is done to packages so that one is installed in a version, and all others of it go.

    + now: version by name of what is installed
    + name, version: of the package
    + hold: keep upgrades from it

    **Example:**

    .. code:: python

        exchange({"containerd": "1.7.24-1", "runc": "1.1-1"}, "containerd.io", "2.3.3-1", True)
    """
    return PackageChange(
        installs={name: version},
        removes=tuple(other for other in _GO_FOR.get(name, ()) if other in now),
        now={other: now[other] for other in RELATED if other in now},
        related=RELATED,
        holds=(name,) if hold else (),
    )


def runc_refusal(now: Iterable[str], removes: Iterable[str]) -> str | None:
    """Why packages must not go for a containerd that brings no runc, None when they may.

    + now: names of what is installed
    + removes: those that would go
    """
    if _WITH_RUNC not in removes or "runc" in now:
        return None
    return f"{_WITH_RUNC} would go, and its runc with it: state the archive's runc too"


def refusal(now: Iterable[str], change: PackageChange) -> str | None:
    """Why packages must not be exchanged, None when they may be.

    + now: names of what is installed
    + change: what would be done
    """
    docker = [name for name in NEED_IT if name in now]
    if not docker or not change.removes:
        return None
    return (
        f"{', '.join(docker)} is installed and needs {', '.join(change.removes)}, which would go "
        f"for {', '.join(change.installs)}, and Docker with it: remove Docker first, or keep the "
        "source that containerd is from (kubenode_containerd_source)"
    )
