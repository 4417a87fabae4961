"""Kubernetes' own packages: one repository for each minor release, and mirrors of them.

Sources: kubernetes/release, ``cmd/krel/templates/latest`` (packages and their relations); the
Kubernetes page "Installing kubeadm" (addresses, the key's place); kubernetes/release#3818 (the key
is prolonged in place, with the same fingerprint).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kubenode.packages import apt_sources
from kubenode.packages.source import Repository

NAME = "kubernetes"
UPSTREAM_URL = "https://pkgs.k8s.io/core:/stable:/{version}/{format}"
FINGERPRINT = "DE15B14486CD377B9E876E1A234654DA9A296436"
"""Of "isv:kubernetes OBS Project"."""

RELEASED = ("kubelet", "kubeadm", "kubectl")
"""Packages that have Kubernetes' version."""
COMPANIONS = ("cri-tools", "kubernetes-cni")
"""Packages that have versions of their own. kubeadm brings them up to 1.31 alone, and kubelet
kubernetes-cni: so each is named."""
PACKAGES = (*RELEASED, *COMPANIONS)

_KEYS = {"deb": "Release.key", "rpm": "repodata/repomd.xml.key"}
_KNOWN = ("url", "key", "fingerprint")


@dataclass(frozen=True)
class KubernetesSource:
    """Where Kubernetes' packages are.

    + url: with ``{version}``, which is ``v1.37``, and ``{format}``, which is ``deb`` or ``rpm``
    + key: as of :class:`kubenode.packages.source.Repository`, both may stand in it too; None is the
      file beside the packages
    + fingerprint: of that key
    """

    url: str = UPSTREAM_URL
    key: str | None = None
    fingerprint: str = FINGERPRINT

    def __post_init__(self) -> None:
        if not isinstance(self.url, str) or "{version}" not in self.url:
            raise ValueError(
                f"url {self.url!r}: there is a repository for each minor release, so '{{version}}' "
                "stands in it for 'v1.37'"
            )
        # what is wrong with the rest is said now, and not for each host
        self.repository((1, 37), "apt-get")

    def repository(self, minor: tuple[int, int], manager: str) -> Repository:
        """The repository of a minor release.

        + minor: the release
        + manager: ``apt-get``, ``dnf`` or ``zypper``
        """
        kind: Literal["deb", "rpm"] = "deb" if manager == "apt-get" else "rpm"
        url = _filled(self.url, minor, kind).rstrip("/")
        key = f"{url}/{_KEYS[kind]}" if self.key is None else _filled(self.key, minor, kind)
        return Repository(
            name=NAME,
            url=url,
            suite="/" if kind == "deb" else None,
            key=key,
            fingerprint=self.fingerprint,
            packages=PACKAGES,
            signs_metadata=kind == "rpm",
        )

    def has(self, url: str) -> bool:
        """Whether a URL is that of one of its repositories, of any minor release.

        + url: of an entry of the host's
        """
        pattern = re.escape(apt_sources.base(self.url))
        for name, value in {"version": r"v[0-9]+\.[0-9]+", "format": "(deb|rpm)"}.items():
            pattern = pattern.replace(re.escape(f"{{{name}}}"), value)
        return re.fullmatch(pattern, apt_sources.base(url)) is not None


def _filled(text: str, minor: tuple[int, int], kind: str) -> str:
    # not by format(): a key's text may have braces
    version = f"v{minor[0]}.{minor[1]}"
    return text.replace("{version}", version).replace("{format}", kind)


UPSTREAM = KubernetesSource()


def kubernetes_source(stated: object) -> KubernetesSource:
    """A source from a setting; ValueError says what is wrong with it.

    + stated: ``upstream``, or a dict of :class:`KubernetesSource`'s fields for a mirror

    **Example:**

    .. code:: python

        kubernetes_source({"url": "https://mirror.example.org/kubernetes/{version}/{format}"})
    """
    if isinstance(stated, KubernetesSource):
        return stated
    if stated == "upstream":
        return UPSTREAM
    if not isinstance(stated, Mapping):
        raise ValueError(f"'upstream' or a dict with url, key and fingerprint, not {stated!r}")
    fields: dict[str, Any] = dict(stated)
    if unknown := sorted(map(str, fields.keys() - {*_KNOWN})):
        raise ValueError(f"no such field: {', '.join(unknown)}; there are {', '.join(_KNOWN)}")
    for name, value in fields.items():
        if not isinstance(value, str):
            raise ValueError(f"{name} is text, not {value!r}")
    return KubernetesSource(**fields)


@dataclass(frozen=True)
class GivingWay:
    """Entries of the same packages in files of others.

    + files: what becomes of these files; None goes
    + places: of the entries that go
    + blocked: why that cannot be done
    """

    files: Mapping[str, str | None]
    places: tuple[str, ...] = ()
    blocked: str | None = None


def others_of_apt(source: KubernetesSource, files: Mapping[str, str], own: str) -> GivingWay:
    """The entries that give way to kubenode's: those of other minor releases, and of the same one.

    + source: where the packages are
    + files: exact text by path, of apt's files
    + own: the file that kubenode writes

    The documentation has a file for each host, ``kubernetes.list``. It would stay behind with the
    old minor release, or say another key of the same one, and apt then refuses all sources.
    """
    entries = [entry for entry in apt_sources.entries(files) if entry.file != own]
    ours = [entry for entry in entries if source.has(entry.url) or UPSTREAM.has(entry.url)]
    changed: dict[str, str | None] = {}
    for path in dict.fromkeys(entry.file for entry in ours):
        others = [entry for entry in entries if entry.file == path and entry not in ours]
        if not others:
            changed[path] = None
        elif path.endswith(".sources"):
            place = next(entry.place for entry in ours if entry.file == path)
            return GivingWay(
                {}, (), f"{place} has Kubernetes' packages beside others: take that stanza out"
            )
        else:
            going = {entry.line for entry in ours if entry.file == path}
            lines = files[path].splitlines(keepends=True)
            changed[path] = "".join(
                line for number, line in enumerate(lines, 1) if number not in going
            )
    return GivingWay(changed, tuple(entry.place for entry in ours))
