"""What has to be done so that a host has a repository, or has it no more; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubenode.files import exact_text
from kubenode.files.whole_file import Change
from kubenode.packages import apt_sources, repository_files
from kubenode.packages.repository_files import Others
from kubenode.packages.signing_key import SigningKey
from kubenode.packages.source import Repository, codename


@dataclass(frozen=True)
class Host:
    """What a host says of where its packages come from.

    + manager: ``apt-get``, ``dnf`` or ``zypper``
    + architecture: as dpkg calls it
    + os_release: os-release(5), by name
    + files: exact content by path, see :mod:`kubenode.files.exact_text`
    + unreadable: paths
    + lists: names of ``InRelease`` and ``Release`` files that apt has fetched, of repositories'
      folders in the cache of dnf or zypper
    """

    manager: str
    architecture: str | None
    os_release: Mapping[str, str]
    files: Mapping[str, str]
    unreadable: Sequence[str] = ()
    lists: Sequence[str] = ()


@dataclass(frozen=True)
class RepositoryChange:
    """What to do, or why not to. It is empty when there is nothing to do.

    + suite: of a deb repository, as the host takes it
    + files: what becomes of its files, the key's first
    + fetches: whether its lists are fetched
    + warnings: what does not stop it and should be known
    + blocked: why nothing may be done
    """

    suite: str | None = None
    files: tuple[Change, ...] = ()
    fetches: bool = False
    warnings: tuple[str, ...] = ()
    blocked: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.files or self.fetches or self.blocked)


def suite_of(repository: Repository, host: Host) -> str | None:
    """The suite that a host takes of a deb repository, None of an RPM one or where none is known.

    + repository, host: both
    """
    if host.manager != "apt-get":
        return None
    return repository.suite or codename(host.os_release)


def present(repository: Repository, key: SigningKey, host: Host) -> RepositoryChange:
    """What to do so that a host has a repository.

    + repository: it
    + key: its key, which was checked
    + host: what the host says
    """
    suite = suite_of(repository, host)
    if problem := repository_files.unfit(repository, host.manager, suite):
        return RepositoryChange(blocked=problem)
    if host.unreadable:
        return RepositoryChange(blocked=_cannot_read(host.unreadable))
    others = _others(repository, suite, host)
    if others.conflict:
        return RepositoryChange(blocked=others.conflict)
    paths = repository_files.paths(repository.name, host.manager)
    source = repository_files.source_file(
        repository, host.manager, suite, host.architecture, paths.key
    )
    wanted = {paths.key: key.content, paths.source: source.encode()}
    files = tuple(
        Change(path, _content(host, path), content)
        for path, content in wanted.items()
        if _content(host, path) != content
    )
    warnings = tuple(
        f"{place} has {repository.url} {suite} too: remove it, or apt warns each time"
        for place in others.duplicates
    )
    fetches = bool(files) or not _has_lists(repository, suite, host)
    return RepositoryChange(suite, files, fetches, warnings)


def absent(name: str, host: Host) -> RepositoryChange:
    """What to do so that a host has a repository no more. Packages from it stay.

    + name: of the repository
    + host: what the host says
    """
    paths = repository_files.paths(name, host.manager)
    if unreadable := [path for path in host.unreadable if path in (paths.key, paths.source)]:
        return RepositoryChange(blocked=_cannot_read(unreadable))
    going = [path for path in (paths.source, paths.key) if path in host.files]
    entries = apt_sources.entries(host.files) if host.manager == "apt-get" else []
    using = [
        entry.place
        for entry in entries
        if entry.file != paths.source and paths.key in entry.signed_by.split()
    ]
    warnings: tuple[str, ...] = ()
    if using and paths.key in going:
        going.remove(paths.key)
        # what nobody can do anything about is no warning each time
        warnings = (f"{paths.key} stays, as {using[0]} is signed by it too",) if going else ()
    return RepositoryChange(
        files=tuple(Change(path, _content(host, path), None) for path in going), warnings=warnings
    )


def _cannot_read(paths: Sequence[str]) -> str:
    return (
        f"cannot read {', '.join(paths)}, so nobody knows what the host takes packages from: "
        "run as root, or see what is wrong with it"
    )


def _others(repository: Repository, suite: str | None, host: Host) -> Others:
    if host.manager == "apt-get":
        entries = apt_sources.entries(host.files)
        return repository_files.others_of_apt(repository, suite or "", entries)
    return repository_files.others_of_rpm(repository, host.manager, host.files)


def _content(host: Host, path: str) -> bytes | None:
    content = host.files.get(path)
    return None if content is None else exact_text.bytes_of(content)


def _has_lists(repository: Repository, suite: str | None, host: Host) -> bool:
    if host.manager != "apt-get" or suite is None:
        # dnf has one folder for each of a repository's addresses
        cache = re.compile(rf"{re.escape(repository.name)}(-[0-9a-f]{{16}})?")
        return any(cache.fullmatch(name) for name in host.lists)
    prefix = apt_sources.list_name(repository.url, suite)
    return any(name in host.lists for name in (f"{prefix}InRelease", f"{prefix}Release"))
