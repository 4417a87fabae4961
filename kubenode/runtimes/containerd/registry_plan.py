"""What has to be done so that containerd finds the wanted ``hosts.toml`` of each registry."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from packaging.version import Version

from kubenode.files.whole_file import Change, sum_of
from kubenode.runtimes.containerd.hosts_toml import (
    ANY_REGISTRY,
    DEFAULT_DIRECTORY,
    NAME,
    OWN_CERTIFICATE,
    RegistryFiles,
    directories,
)

_ANY_SINCE = Version("1.6")


@dataclass(frozen=True)
class FileNow:
    """A file on the host, without its content.

    + sum: None where it is not known
    + private: whether it is root's, with no permission for others
    """

    sum: str | None
    private: bool


@dataclass(frozen=True)
class RegistriesNow:
    """What a host has.

    + config_path: as containerd has it, empty where it has none
    + listed: names of directories by each directory of config_path; None: it cannot be read, a
      directory that is missing here does not exist
    + files: ``hosts.toml`` files and kubenode's certificates, by path; None: it cannot be read
    """

    config_path: str
    listed: Mapping[str, Sequence[str] | None]
    files: Mapping[str, FileNow | None]


@dataclass(frozen=True)
class RegistryPlan:
    """What to do, or why not to.

    + directory: where registries' directories are
    + states_directory: whether containerd has yet to be told of it
    + changes: files to write and to remove, in their order
    + shown: of each ``hosts.toml`` that is written its files, by path
    + moved: directories of registries that go, with all that is in them
    + blocked: why nothing may be changed
    """

    directory: str = DEFAULT_DIRECTORY
    states_directory: bool = False
    changes: tuple[Change, ...] = ()
    shown: Mapping[str, RegistryFiles] = field(default_factory=dict)
    moved: tuple[str, ...] = ()
    blocked: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether all is as wanted."""
        return not (self.states_directory or self.changes or self.moved)


class _Blocked(Exception):
    """Nothing may be changed."""


def registry_plan(
    wanted: Mapping[str, RegistryFiles | None], now: RegistriesNow, version: Version | None
) -> RegistryPlan:
    """
    The files to write, or why nothing may be changed.

    + wanted: the files of each registry; None: it is to have none
    + now: what the host has
    + version: containerd's

    Registries that are not in *wanted* stay as they are.

    **Example:**

    .. code:: python

        registry_plan({"docker.io": files_of({...}, version)}, now, version).changes
    """
    try:
        return _plan(wanted, now, version)
    except _Blocked as blocked:
        return RegistryPlan(blocked=f"{blocked}: nothing was changed")


def _plan(
    wanted: Mapping[str, RegistryFiles | None], now: RegistriesNow, version: Version | None
) -> RegistryPlan:
    if version is not None and version < _ANY_SINCE and ANY_REGISTRY in wanted:
        raise _Blocked(f"containerd {version} does not know {ANY_REGISTRY}: {_ANY_SINCE} does")
    places = [place for place in now.config_path.split(":") if place.startswith("/")]
    # 2.2.0 takes the list of its own default for one path (containerd#12636)
    is_one_path = version is not None and version.release == (2, 2, 0) and len(places) > 1
    wants_some = any(files is not None for files in wanted.values())
    if now.config_path and not places:
        raise _Blocked(f"config_path {now.config_path!r} is no absolute path: correct it first")
    directory = places[0] if places else DEFAULT_DIRECTORY
    for place in [directory, *places[1:]]:
        if now.listed.get(place, ()) is None:
            raise _Blocked(f"cannot read {place}, where containerd looks for registries")
    changes: list[Change] = []
    shown: dict[str, RegistryFiles] = {}
    moved: list[str] = []
    for registry, files in wanted.items():
        if files is None:
            for place in places or [directory]:
                there = now.listed.get(place) or ()
                moved += [f"{place}/{name}" for name in directories(registry) if name in there]
            continue
        _refuse_to_hide(registry, directory, places[1:], now)
        folder = f"{directory}/{_name(registry, now.listed.get(directory) or ())}"
        own = _changes(folder, files, now.files)
        changes += own
        if any(change.path == f"{folder}/{NAME}" for change in own):
            shown[f"{folder}/{NAME}"] = files
    states_directory = wants_some and (not places or is_one_path)
    return RegistryPlan(directory, states_directory, tuple(changes), shown, tuple(moved))


def _name(registry: str, there: Sequence[str]) -> str:
    """The directory that counts: one that exists, else the one that containerd looks at first."""
    names = directories(registry)
    return next((name for name in names if name in there), names[0])


def _refuse_to_hide(
    registry: str, directory: str, others: Sequence[str], now: RegistriesNow
) -> None:
    """containerd takes the first directory that has the registry, or ``_default``."""
    if registry != ANY_REGISTRY:
        return
    for other in others:
        if names := [name for name in now.listed.get(other) or () if name != ANY_REGISTRY]:
            raise _Blocked(
                f"{ANY_REGISTRY} in {directory} would hide {', '.join(names[:5])} in {other}: move "
                f"these to {directory} first"
            )


def _changes(folder: str, files: RegistryFiles, now: Mapping[str, FileNow | None]) -> list[Change]:
    contents = {f"{folder}/{name}": content for name, content in files.contents.items()}
    changes = []
    for path, content in contents.items():
        there = now.get(path, FileNow(sum_of(None), private=True))
        if there is None or there.sum is None:
            raise _Blocked(f"cannot read {path}: make it a file of root's, or remove it")
        if there.sum != sum_of(content) or not there.private:
            changes.append(Change(path, None, content, secret=True, was=_was(there)))
    for path, left in now.items():
        is_own = OWN_CERTIFICATE.fullmatch(posixpath.basename(path))
        if posixpath.dirname(path) == folder and is_own and path not in contents and left:
            changes.append(Change(path, None, None, secret=True, was=_was(left)))
    return changes


_EMPTY = hashlib.sha256(b"").hexdigest()


def _was(now: FileNow) -> str:
    """The sum as whole_file has it: an empty file is nothing to it."""
    return sum_of(None) if now.sum in (None, _EMPTY) else str(now.sum)
