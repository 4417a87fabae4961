"""The packages that Docker Engine comes in, by source, and those that go when one comes.

Sources: Debian's docker.io and docker-cli; docker/packaging, pkg/docker-engine and pkg/docker-cli;
docs.mirantis.com, mcr; the spec files of Fedora's moby-engine and of openSUSE's docker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubenode.packages.choice import without_epoch
from kubenode.packages.source import NotBuiltFor

ENGINES: Mapping[str, tuple[str, ...]] = {
    "distribution": ("docker.io",),
    "docker": ("docker-ce", "docker-ce-cli", "containerd.io"),
    "mcr": ("docker-ee", "docker-ee-cli", "containerd.io"),
}
"""What is installed of each source, the engine first. The client is only recommended."""

_OF_FEDORA = ("moby-engine", "docker-cli")
_OF_SUSE = ("docker",)
_BELOW = ("containerd", "runc")

# of Fedora and SUSE too
_ENGINE_PACKAGES = (
    "docker.io", "docker-ce", "docker-ee", "moby-engine", "docker", "docker-stable",
)  # fmt: skip

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

_OF_SUSE_ALONE = ("buildx", "rootless-extras", "bash-completion", "fish-completion",
                  "zsh-completion")  # fmt: skip
_STAND_ON: Mapping[str, tuple[str, ...]] = {
    "docker-ce": ("docker-ce-rootless-extras",),
    "docker-ee": ("docker-ee-rootless-extras",),
    "moby-engine": tuple(f"moby-engine-{name}-completion" for name in ("fish", "zsh")),
    "docker": tuple(f"docker-{name}" for name in _OF_SUSE_ALONE),
    "docker-stable": tuple(f"docker-stable-{name}" for name in _OF_SUSE_ALONE),
}
"""Packages of an engine's vendor that need it, as RPMs, and go when it goes."""

_DOCKER_OF_OTHERS = ("podman-docker",)
"""Packages with a program ``docker`` that is another one: no engine's client stands beside it."""

EXCHANGED = (
    *(name for name in RELATED if name != "cri-dockerd"),
    *(name for names in _STAND_ON.values() for name in names),
)
"""What comes and goes with an engine."""

ASKED_FOR = (*EXCHANGED, "cri-dockerd", *_DOCKER_OF_OTHERS)
"""What a host is asked for."""


def is_engine(name: str) -> bool:
    """Whether a package has the daemon.

    + name: of the package
    """
    return name in _ENGINE_PACKAGES


def conflict(wanted: Sequence[str], installed: Sequence[str]) -> str | None:
    """Why an engine cannot be installed beside what a host has, None where it can.

    + wanted: names, the engine first
    + installed: names
    """
    there = [name for name in installed if name in _DOCKER_OF_OTHERS]
    if not there:
        return None
    return (
        f"{', '.join(there)} is installed, whose program docker is Podman's, and {wanted[0]} "
        "conflicts with it: remove it first"
    )


def wanted(source: str, os_release: Mapping[str, str]) -> tuple[str, ...]:
    """The packages of a source on a host, the engine first.

    + source: of :data:`ENGINES`; any other repository has Docker's names
    + os_release: the host's

    Debian's docker.io has no client from trixie on: that is docker-cli, which it recommends.
    NotBuiltFor where the distribution has no engine: RHEL and what is built from it.
    """
    names = ENGINES.get(source, ENGINES["docker"])
    if source != "distribution":
        return names
    own = os_release.get("ID", "")
    family = (own, *os_release.get("ID_LIKE", "").split())
    if own == "fedora":
        return _OF_FEDORA
    if "suse" in family or "opensuse" in family:
        return _OF_SUSE
    if not {"rhel", "centos", "fedora"}.isdisjoint(family):
        raise NotBuiltFor(
            f"{os_release.get('PRETTY_NAME') or own} has no package of Docker Engine that kubenode "
            "knows: set kubenode_docker_source to 'docker' (Docker's repository) or to a repository"
        )
    return (*names, "docker-cli") if own == "debian" and _splits(os_release) else names


def chosen(
    engine: str, installed: Sequence[str], os_release: Mapping[str, str]
) -> tuple[str, ...] | None:
    """The packages of an engine that is not the distribution's: somebody has chosen it.

    + engine: name of the package that is installed
    + installed: names
    + os_release: the host's

    None where it is the distribution's own. What is chosen is not taken away for the
    distribution's. What the distribution has below it, containerd and runc, is nobody's choice.
    """
    try:
        if wanted("distribution", os_release)[0] == engine:
            return None
    except NotBuiltFor:
        pass
    rest = (name for name in _OWN.get(engine, ()) if name not in (engine, *_BELOW))
    return (engine, *(name for name in rest if name in installed))


def below(engine: str) -> tuple[str, ...]:
    """The packages that a distribution's engine stands on; a vendor's has its own containerd.io.

    + engine: name of its package
    """
    return tuple(name for name in _OWN.get(engine, ()) if name in _BELOW)


def versions(wanted: Sequence[str], version: str | None) -> dict[str, str] | None:
    """The version that is wanted, by package; containerd.io and Fedora's client have their own.

    + wanted: names, the engine first
    + version: the engine's
    """
    if version is None:
        return None
    engine = wanted[0]
    clients = (f"{engine}-cli", *(("docker-cli",) if engine == "docker.io" else ()))
    # an RPM's client has another epoch
    of_clients = {name: without_epoch(version) for name in wanted if name in clients}
    return {engine: version} | of_clients


def _splits(os_release: Mapping[str, str]) -> bool:
    version = os_release.get("VERSION_ID", "")
    # testing and unstable state none
    return not version.isdecimal() or int(version) >= 13


_OWN: Mapping[str, tuple[str, ...]] = {
    "docker.io": ("docker.io", "docker-cli", *_BELOW),
    "docker-ce": ENGINES["docker"],
    "docker-ee": ENGINES["mcr"],
    "moby-engine": (*_OF_FEDORA, *_BELOW),
    "docker": (*_OF_SUSE, *_BELOW),
    "docker-stable": ("docker-stable", *_BELOW),
}
"""What an engine stands on. Its vendor's packages conflict with those of the others."""


def in_the_way(wanted: Sequence[str], installed: Sequence[str]) -> tuple[str, ...]:
    """The packages that have to go for an engine, of what is installed.

    + wanted: names, the engine first
    + installed: names

    They are named to the package manager: what is held goes with no other, and what needs an engine
    that goes is named too.

    **Example:**

    .. code:: python

        in_the_way(["docker-ce"], ["containerd", "docker.io"])  # ("containerd", "docker.io")
    """
    own = _OWN.get(wanted[0])
    if own is None:
        return ()
    going = [name for name in replaced(wanted, installed) if name not in own]
    standing = [name for engine in going for name in _STAND_ON.get(engine, ())]
    return (*going, *(name for name in installed if name in standing))


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
