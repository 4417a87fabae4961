"""The files that make a repository known to a host's package manager.

For apt a deb822 file whose ``Signed-By`` names a key of its own: what that key signs is believed of
this repository alone, and no other key is believed of it. For dnf and zypper a ``.repo`` file with
``gpgcheck=1`` and the key beside it.

Sources: sources.list(5), dnf.conf(5), zypper(8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubenode.packages import apt_sources
from kubenode.packages.source import Repository

APT_KEYRINGS = "/etc/apt/keyrings"
RPM_KEYS = "/etc/pki/rpm-gpg"
RPM_DIRECTORIES: Mapping[str, str] = {"dnf": "/etc/yum.repos.d", "zypper": "/etc/zypp/repos.d"}


@dataclass(frozen=True)
class Paths:
    """Where a repository's two files are.

    + key: the key it is signed with
    + source: what the package manager reads
    """

    key: str
    source: str


def paths(name: str, manager: str) -> Paths:
    """The files of a repository.

    + name: of the repository
    + manager: ``apt-get``, ``dnf`` or ``zypper``
    """
    if manager == "apt-get":
        return Paths(f"{APT_KEYRINGS}/{name}.asc", f"{apt_sources.DIRECTORY}/{name}.sources")
    return Paths(f"{RPM_KEYS}/RPM-GPG-KEY-{name}", f"{RPM_DIRECTORIES[manager]}/{name}.repo")


def source_file(
    repository: Repository, manager: str, suite: str | None, architecture: str | None, key: str
) -> str:
    """What the package manager reads of a repository.

    + repository: it
    + manager: ``apt-get``, ``dnf`` or ``zypper``
    + suite: of a deb repository, as the host takes it
    + architecture: of a deb repository, as ``dpkg --print-architecture`` says it; None leaves it
      to apt, which warns where the repository lacks one of a host's several
    + key: path of the key's file on the host

    **Example:**

    .. code:: python

        source_file(repository, "apt-get", "trixie", "amd64", "/etc/apt/keyrings/docker.asc")
    """
    if manager != "apt-get":
        return _repo(repository, manager, key)
    fields = {
        "Types": "deb",
        "URIs": repository.url,
        "Suites": suite,
        "Components": " ".join(repository.components),
        "Architectures": architecture,
        "Signed-By": key,
    }
    return HEAD + "".join(f"{name}: {value}\n" for name, value in fields.items() if value)


HEAD = "# by kubenode: what is changed here, the next run changes back\n"
"""The first line of what kubenode writes."""


def _repo(repository: Repository, manager: str, key: str) -> str:
    lines = [
        f"[{repository.name}]",
        f"name={repository.name}",
        f"baseurl={repository.url}",
        "enabled=1",
        "gpgcheck=1",
        f"repo_gpgcheck={int(repository.signs_metadata)}",
        f"gpgkey=file://{key}",
    ]
    if manager == "zypper":
        lines += ["autorefresh=1", "type=rpm-md"]
    return HEAD + "".join(f"{line}\n" for line in lines)


def unfit(repository: Repository, manager: str, suite: str | None) -> str | None:
    """Why a repository is none for a package manager, None when it is one.

    + repository: it
    + manager: ``apt-get``, ``dnf`` or ``zypper``
    + suite: as the host takes it
    """
    if manager != "apt-get":
        if repository.suite is not None or repository.components:
            return (
                f"repository {repository.name} has a suite or components, so it is one for apt, "
                f"and this host has {manager}: give it a Repository of its own"
            )
        return None
    if suite is None:
        return (
            f"repository {repository.name} names no suite, and this host's os-release no code "
            "name: set suite"
        )
    if not repository.components and not suite.endswith("/"):
        return f"repository {repository.name} names no components, such as ('main',): apt needs one"
    if "$" in repository.url:
        return f"repository {repository.name} has '$' in its url, which apt does not fill in"
    return None


@dataclass(frozen=True)
class Others:
    """What the host says elsewhere of the same repository.

    + conflict: why apt would refuse all sources, or dnf take another for it; None when all is well
    + duplicates: the places of entries that say the same again
    """

    conflict: str | None
    duplicates: tuple[str, ...]


def others_of_apt(
    repository: Repository, suite: str, entries: Sequence[apt_sources.Entry]
) -> Others:
    """Other entries of a repository's URL and suite.

    + repository: it
    + suite: as the host takes it
    + entries: all that the host's source files state

    Two entries with different ``Signed-By`` make apt refuse everything, not only these two
    ("Conflicting values set for option Signed-By").
    """
    own = paths(repository.name, "apt-get")
    same = [
        entry
        for entry in entries
        if entry.file != own.source
        and apt_sources.base(entry.url) == apt_sources.base(repository.url)
        and entry.suite == suite
    ]
    for entry in same:
        if entry.signed_by != own.key:
            signed_by = entry.signed_by or "no Signed-By"
            return Others(
                f"{entry.place} has {repository.url} {suite} too, with another key ({signed_by}): "
                'apt would refuse all sources ("Conflicting values set for option Signed-By"). '
                f"Remove that entry, {own.source} takes its place",
                (),
            )
    duplicates = [
        entry.place
        for entry in same
        if not entry.components or set(entry.components) & set(repository.components)
    ]
    return Others(None, tuple(duplicates))


def others_of_rpm(repository: Repository, manager: str, files: Mapping[str, str]) -> Others:
    """Another file that has a repository's id: which of the two counts depends on their names.

    + repository: it
    + manager: ``dnf`` or ``zypper``
    + files: text of the ``.repo`` files, by path
    """
    own = paths(repository.name, manager).source
    for path, text in files.items():
        for number, line in enumerate(text.splitlines(), 1):
            if path != own and line.strip() == f"[{repository.name}]":
                return Others(
                    f"{path}:{number} has a repository {repository.name} too: remove it there, or "
                    "give this one another name",
                    (),
                )
    return Others(None, ())
