"""Where a host's packages come from: the files that say so, and what it has fetched."""

from __future__ import annotations

from typing import TypedDict

from kubenode.facts import image_based, platform
from kubenode.facts.image_based import SystemShape
from kubenode.facts.os_release import os_release
from kubenode.files.exact_text import text_of
from kubenode.packages import apt_sources, repository_files
from kubenode.packages.source import check_name
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "repositories"

_MOST_FILES = 512


class RepositoriesShape(TypedDict):
    """What :class:`Repositories` returns."""

    package_manager: str | None
    """``apt-get``, ``dnf`` or ``zypper``, None when the host has none of them."""
    architecture: str | None
    """As dpkg calls it, such as ``amd64``; None where there is no dpkg."""
    os_release: dict[str, str]
    """os-release(5), by name."""
    files: dict[str, str]
    """Exact content of the files that state sources, and of the asked-for repository's key."""
    unreadable: list[str]
    """Those of them, and directories, that could not be read."""
    lists: list[str]
    """Names of the ``InRelease`` and ``Release`` files in ``/var/lib/apt/lists``; of dnf and zypper
    those of repositories' folders in the cache."""
    system: SystemShape


def own_files(name: str) -> tuple[str, ...]:
    """Both files of a repository, for each package manager.

    + name: of the repository
    """
    both = [repository_files.paths(name, manager) for manager in platform.PACKAGE_MANAGERS]
    return tuple(dict.fromkeys(path for each in both for path in (each.key, each.source)))


def script(name: str) -> probe.Script:
    """The probe's script.

    + name: of the repository whose files are sent, whether they are there or not
    """
    own = own_files(name)
    return probe.Script(
        host_script.read(__file__, "repositories.sh", OWN=" | ".join(own)),
        files=(*own, apt_sources.MAIN, "/etc/os-release"),
        at_times=("dpkg",),
        answers=("known",),
    )


def parse(reading: Reading, system: SystemShape) -> RepositoriesShape:
    """The shape from what the host sent."""
    manager = reading.value("package_manager")
    files = {
        path: text_of(content)
        for path, content in list(reading.exact.items())[:_MOST_FILES]
        if not path.endswith("/os-release")
    }
    return {
        "package_manager": manager if manager in platform.PACKAGE_MANAGERS else None,
        "architecture": reading.value("architecture") or None,
        "os_release": os_release(reading),
        "files": files,
        "unreadable": sorted(reading.unreadable),
        "lists": [
            path.removesuffix("/repodata/repomd.xml").rpartition("/")[2]
            for path in reading.text("lists")
        ],
        "system": system,
    }


class Repositories(ProbeFact[RepositoriesShape]):
    """
    Returns where a host's packages come from (:class:`RepositoriesShape`).

    + repository: its name: its files are read whether they are of this package manager or not

    .. code:: python

        {
            "package_manager": "apt-get",
            "architecture": "amd64",
            "os_release": {"ID": "debian", "VERSION_CODENAME": "trixie"},
            "files": {"/etc/apt/sources.list.d/debian.sources": "Types: deb\\n..."},
            "unreadable": [],
            "lists": ["mirror.example.org_debian_dists_trixie_InRelease"],
            "system": {"image": None, "usr": "writable"},
        }

    **Example:**

    .. code:: shell

        pyinfra INVENTORY fact kubenode.facts.repositories.Repositories repository=docker
    """

    def command(self, repository: str) -> str:
        try:
            check_name(repository)
        except ValueError as error:
            return self.refused(str(error))
        return self.asking({PROBE: script(repository), image_based.PROBE: image_based.script()})

    def parse(self, readings: Readings) -> RepositoriesShape:
        return parse(readings[PROBE], image_based.parse(readings[image_based.PROBE]))
