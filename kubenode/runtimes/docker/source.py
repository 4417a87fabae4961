"""Where Docker Engine and cri-dockerd are from, as settings state it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from kubenode.packages.archive import Archive, plugins_archive
from kubenode.packages.source import NotBuiltFor, Repository, codename

EngineSource = Literal["distribution", "docker", "mcr"] | Repository
CriDockerdSource = Archive | Repository | None

CRI_DOCKERD = "cri-dockerd"
"""The package, and the archive's file."""

MCR_URL = "https://repos.mirantis.com"
MCR_CHANNEL = "stable-29.4"
MCR_FINGERPRINT = "DD911E995A64A202E85907D6BC14F10B6D085F96"
"""Of the key of its deb repositories."""
MCR_RPM_FINGERPRINT = "77FEDA131A831D29A418D3E899E5FF2E76682BC9"
"""Of that of its RPM repositories. Source: docs.mirantis.com, mcr 20.10 and 23.0; a host is refused
where a later release is signed by another one."""
_MCR_SUITES = ("jammy", "noble")
_MCR_RELEASES = {"rhel": ("8", "9"), "rocky": ("8", "9"), "sles": ("15",)}
"""Source: Mirantis/launchpad, pkg/configurer and test/smoke, 2026-07: RHEL and Rocky Linux 10 have
packages that do not start."""


def engine_source(stated: object) -> EngineSource:
    """The source of Docker Engine that a setting states; ValueError where it states none.

    + stated: ``distribution``, ``docker``, ``mcr``, or a repository, which may be a dict of its
      fields. Its ``packages`` are installed, the engine first
    """
    if isinstance(stated, Repository):
        return stated
    if stated == "distribution":
        return "distribution"
    if stated == "docker":
        return "docker"
    if stated == "mcr":
        return "mcr"
    if isinstance(stated, Mapping):
        return _repository(stated)
    raise ValueError(
        "'distribution', 'docker', 'mcr' or a repository (a dict with name, url, key, fingerprint)"
    )


def cri_dockerd_of(stated: object) -> CriDockerdSource:
    """The source of cri-dockerd that a setting states; ValueError where it states none.

    + stated: a dict with ``version``, ``url`` and ``sha256`` by architecture, which is a release
      archive; or one with a repository's fields. None is none

    **Example:**

    .. code:: python

        cri_dockerd_of({
            "version": "0.4.3",
            "url": "https://github.com/Mirantis/cri-dockerd/releases/download/v{version}/"
                   "cri-dockerd-{version}.{arch}.tgz",
            "sha256": {"amd64": "8a57..."},
        })
    """
    if stated is None or isinstance(stated, (Archive, Repository)):
        return stated
    if not isinstance(stated, Mapping):
        raise ValueError(
            "an archive (a dict with version, url, sha256) or a repository (a dict with name, url, "
            "key, fingerprint)"
        )
    if "sha256" not in stated:
        return _repository({"packages": (CRI_DOCKERD,), **stated})
    # the same fields as the archive of CNI plugins has
    archive = plugins_archive(stated)
    return Archive(archive.version, MappingProxyType({CRI_DOCKERD: archive.files["plugins"]}))


def _repository(stated: Mapping[Any, Any]) -> Repository:
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in stated.items()
    }
    try:
        return Repository(**fields)
    except TypeError as error:
        known = ", ".join(Repository.__dataclass_fields__)
        raise ValueError(f"a repository has the fields {known}: {error}") from None


def mcr_repository(os_release: Mapping[str, str], channel: str) -> Repository:
    """Mirantis' repository of MCR for a host; NotBuiltFor where it has nothing for it.

    + os_release: the host's os-release(5), by name
    + channel: such as ``stable-29.4``; its exact releases and FIPS are channels too

    Source: Mirantis/launchpad, pkg/configurer (ubuntu, enterpriselinux, sles).
    """
    packages = ("docker-ee", "docker-ee-cli", "containerd.io")
    own, suite = os_release.get("ID", ""), codename(os_release)
    base = f"{MCR_URL}/{own}"
    if own == "ubuntu" and suite in _MCR_SUITES:
        return Repository(
            name="mirantis",
            url=base,
            suite=suite,
            components=(channel,),
            key=f"{base}/gpg",
            fingerprint=MCR_FINGERPRINT,
            packages=packages,
        )
    release = os_release.get("VERSION_ID", "").partition(".")[0]
    if release in _MCR_RELEASES.get(own, ()):
        return Repository(
            name="mirantis",
            url=f"{base}/{release}/$basearch/{channel}",
            key=f"{base}/gpg",
            fingerprint=MCR_RPM_FINGERPRINT,
            packages=packages,
        )
    name = os_release.get("PRETTY_NAME") or "this host"
    known = {"ubuntu": _MCR_SUITES, **_MCR_RELEASES}
    listed = "; ".join(f"{system} {', '.join(releases)}" for system, releases in known.items())
    raise NotBuiltFor(
        f"kubenode knows Mirantis' repository for {listed}, and this is {name}: state a Repository "
        "of your own as kubenode_docker_source"
    )
