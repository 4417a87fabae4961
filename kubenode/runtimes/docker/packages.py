"""The packages that Docker Engine comes in, by source, and those that go when one comes.

Sources: Debian's docker.io and docker-cli; docker/packaging, pkg/docker-engine; docs.mirantis.com,
mcr.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ENGINES: Mapping[str, tuple[str, ...]] = {
    "distribution": ("docker.io",),
    "docker": ("docker-ce", "docker-ce-cli", "containerd.io"),
    "mcr": ("docker-ee", "docker-ee-cli", "containerd.io"),
}
"""What is installed of each source, the engine first. The client is only recommended."""

# of Fedora and openSUSE too
_ENGINE_PACKAGES = ("docker.io", "docker-ce", "docker-ee", "moby-engine", "docker")

RELATED = (
    *_ENGINE_PACKAGES,
    "docker-cli",
    "docker-ce-cli",
    "docker-ee-cli",
    "containerd",
    "containerd.io",
    "runc",
    "cri-dockerd",
)


def is_engine(name: str) -> bool:
    """Whether a package has the daemon.

    + name: of the package
    """
    return name in _ENGINE_PACKAGES


def wanted(source: str, os_release: Mapping[str, str]) -> tuple[str, ...]:
    """The packages of a source on a host, the engine first.

    + source: of :data:`ENGINES`; any other repository has Docker's names
    + os_release: the host's

    Debian's docker.io has no client from trixie on: that is docker-cli, which it recommends.
    """
    names = ENGINES.get(source, ENGINES["docker"])
    if source == "distribution" and os_release.get("ID") == "debian" and _splits(os_release):
        return (*names, "docker-cli")
    return names


def _splits(os_release: Mapping[str, str]) -> bool:
    version = os_release.get("VERSION_ID", "")
    # testing and unstable state none
    return not version.isdecimal() or int(version) >= 13


_OWN: Mapping[str, tuple[str, ...]] = {
    "docker.io": ("docker.io", "docker-cli", "containerd", "runc"),
    "docker-ce": ENGINES["docker"],
    "docker-ee": ENGINES["mcr"],
}
"""What an engine stands on. Its vendor's packages conflict with those of the others."""


def in_the_way(wanted: Sequence[str], installed: Sequence[str]) -> tuple[str, ...]:
    """The packages that have to go for an engine, of what is installed.

    + wanted: names, the engine first
    + installed: names

    They are named to apt, which lets nothing go by itself that is held.

    **Example:**

    .. code:: python

        in_the_way(["docker-ce"], ["containerd", "docker.io"])  # ("containerd", "docker.io")
    """
    own = _OWN.get(wanted[0])
    if own is None:
        return ()
    return tuple(name for name in replaced(wanted, installed) if name not in own)


def replaced(wanted: Sequence[str], installed: Sequence[str]) -> tuple[str, ...]:
    """The packages that may go for those that are wanted, of what is installed.

    + wanted: names
    + installed: names
    """
    return tuple(
        name
        for name in installed
        if name in RELATED and name not in wanted and name != "cri-dockerd"
    )
