"""Which CRI-O a node gets."""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.version import Version

from kubenode.packages.choice import satisfies, upstream_of
from kubenode.runtimes.crio import releases

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:-]{0,127}", re.ASCII)


def check_version(version: str | None) -> str | None:
    """*version* itself when it can be a package's, a release or a series; ValueError if not."""
    if version is not None and not (isinstance(version, str) and _VERSION.fullmatch(version)):
        raise ValueError(f"{version!r} is no version, write it as 1.36, 1.36.3 or a package's own")
    return version


@dataclass(frozen=True)
class Asked:
    """What is asked for.

    + version: a package's in full, a release (``1.36.3``), a series (``1.36``), or None
    + kubernetes: the release the node is for, such as (1, 36); None: any
    """

    version: str | None
    kubernetes: tuple[int, int] | None

    @property
    def minor(self) -> str | None:
        """CRI-O's minor release that follows from it, None where none does."""
        own = upstream_of(self.version) if self.version else None
        if own is not None and len(own.release) > 1:
            return f"{own.major}.{own.minor}"
        return f"{self.kubernetes[0]}.{self.kubernetes[1]}" if self.kubernetes else None

    @property
    def taken(self) -> str | None:
        """What is installed where there is none, or one that will not do: a version or a series."""
        return self.version or self.minor

    def is_met_by(self, release: Version | None, package: str | None) -> bool:
        """Whether an installed CRI-O may stay.

        + release: what it says of itself
        + package: its package's version
        """
        if self.version is not None:
            names = [each for each in (package, str(release) if release else None) if each]
            return any(satisfies(each, self.version) for each in names)
        if self.kubernetes is not None:
            return release is not None and releases.fits(release, self.kubernetes)
        return True

    def warnings(self, release: Version | None) -> list[str]:
        """What is worth a word of a CRI-O that is there, or comes."""
        if release is None or self.kubernetes is None:
            return []
        name = ".".join(map(str, self.kubernetes))
        if not releases.fits(release, self.kubernetes):
            return [f"CRI-O {release} is not for Kubernetes {name}: it needs CRI-O {name}"]
        if (release.major, release.minor) != self.kubernetes:
            return [
                f"CRI-O {release} is older than Kubernetes {name}, which is tolerated: "
                f"kubenode_crio_version={name} changes it, on an idle node"
            ]
        return []
