"""A fragment of TOML: settings of containerd that kubenode has no setting for.

It is merged into the files that count, value by value. A file of its own that the main one imports
would not do: before 2.0 one key of a plugin in an imported file replaces all that the main file
says of that plugin, and up to 2.3.4 a file of another version than the main one's does harm.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from kubenode.files.toml_text import Path, TooMuchError, dotted, leaves, loads
from kubenode.runtimes.containerd.places import place_in
from kubenode.runtimes.containerd.tables import CRI, CRI_PLUGINS, IMAGES, RUNTIME, VERSION_2
from kubenode.runtimes.edit import ConfigError

_MOST_VALUES = 64

_CRI: Path = ("plugins", CRI)

_OF_SETTINGS: Sequence[tuple[Path, str]] = (
    ((*VERSION_2.containerd, "runtimes", "*", "options", "SystemdCgroup"), "cgroup_driver"),
    ((*_CRI, "systemd_cgroup"), "cgroup_driver"),
    ((*VERSION_2.containerd, "runtimes"), "containerd_handlers"),
    ((*VERSION_2.containerd, "default_runtime"), "containerd_handlers"),
    ((*VERSION_2.containerd, "untrusted_workload_runtime"), "containerd_handlers"),
    ((*VERSION_2.containerd, "default_runtime_name"), "containerd_default_handler"),
    (VERSION_2.pause_image, "pause_image"),
    (VERSION_2.snapshotter, "snapshotter"),
    ((*VERSION_2.registry, "config_path"), "registry_config_path"),
    ((*VERSION_2.registry, "mirrors"), "registry_hosts"),
    ((*VERSION_2.registry, "configs"), "registry_hosts"),
    ((*VERSION_2.registry, "auths"), "registry_hosts"),
    ((*VERSION_2.cni, "bin_dir"), "cni_bin_dirs"),
    ((*VERSION_2.cni, "bin_dirs"), "cni_bin_dirs"),
)
"""What settings of kubenode's own decide, by its place in version 2."""

_NOT_TAKEN: Mapping[Path, str] = {
    ("imports",): "kubenode edits what the main file imports: state it in that file",
    ("grpc", "address"): "kubenode asks CRI at the socket that containerd.service has",
    ("state",): "containerd would lose the pods that run",
}


def values_of(fragment: object) -> dict[Path, Any]:
    """
    The values of a fragment by their place, which is that of version 2 where it has one.

    + fragment: TOML as text, or a dict of the same; a value that is None in a dict takes that key,
      or table, away. Values are texts, numbers, booleans, and lists of these or of tables

    The names may be those of version 2, 3 or 4. ``version`` in it decides nothing: each host's file
    has its own.

    ValueError says what is wrong with it, and of a text on which line and column.

    **Example:**

    .. code:: python

        values_of('[plugins."io.containerd.gc.v1.scheduler"]\\npause_threshold = 0.05\\n')
    """
    data = _parsed(fragment) if isinstance(fragment, str) else fragment
    if not isinstance(data, Mapping):
        raise ValueError("the fragment is TOML as text, or a dict of the same")
    stated = leaves(_plain(data, ()))
    version = stated.pop(("version",), 2)
    if version not in (2, 3, 4) or isinstance(version, bool):
        raise ValueError(
            f"version is {version!r}: write the fragment's names as 2, 3 or 4 has them"
        )
    stated.pop((), None)
    values: dict[Path, Any] = {}
    for path, value in stated.items():
        place = place_in(path, 2) or path
        if place in values:
            raise ValueError(f"{dotted(path)} is there twice, under the names of two versions")
        if problem := _problem(path, _as_in_2(place), value):
            raise ValueError(problem)
        values[place] = value
    if len(values) > _MOST_VALUES:
        raise ValueError(f"the fragment has more than {_MOST_VALUES} values: write them in a file")
    return values


def _as_in_2(place: Path) -> Path:
    """A place that version 2 does not have, under the name that its plugin has there."""
    if place[:1] == ("plugins",) and place[1:2] in ((RUNTIME,), (IMAGES,)):
        return (*_CRI, *place[2:])
    return place


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        return loads(text)
    except TooMuchError as error:
        raise ValueError(f"the fragment is {error}") from None
    except RecursionError:
        raise ValueError("the fragment is nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        reason, _, place = str(error).partition(" (at ")
        where = place.rstrip(")") or "line 1"
        if where == "end of document":
            where = f"line {text.count(chr(10)) + 1}"
        raise ValueError(f"the fragment is not valid TOML, {where}: {reason}") from None


def _plain(value: Any, path: Path) -> Any:
    """A value as :mod:`kubenode.files.toml_text` has it; ValueError for one that is not taken."""
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError(f"{_named(path)} has a key that is no text")
        return {key: _plain(value[key], (*path, key)) for key in value}
    if isinstance(value, list):
        return [_plain(each, (*path, index)) for index, each in enumerate(value)]
    if isinstance(value, float):
        return ("float", repr(value))
    if isinstance(value, str) and "\0" not in value:
        return value
    if isinstance(value, bool | int) or _is_float(value):
        return value
    if value is None and not any(isinstance(key, int) for key in path):
        return None
    raise ValueError(f"{_named(path)} is {value!r}, and no text, number, boolean, list or table")


def _is_float(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and value[0] == "float"


def _named(path: Path) -> str:
    return dotted(path) if path else "the fragment"


def _problem(path: Path, place: Path, value: Any) -> str | None:
    """Why a value is none for a fragment, None when it is one."""
    if place in (_CRI[:1], _CRI, (*_CRI, "pinned_images")):
        return f"{dotted(path)} has what kubenode's settings set: name what is in it"
    for pattern, setting in _OF_SETTINGS:
        if _overlaps(place, pattern, value):
            return f"{dotted(path)} is what kubenode_{setting} sets: say it there"
    for pattern, why in _NOT_TAKEN.items():
        if _overlaps(place, pattern, value):
            return f"{dotted(path)} cannot be set by a fragment: {why}"
    if place == ("disabled_plugins",):
        entries = value if isinstance(value, list) else ()
        if value is None or CRI_PLUGINS.intersection(map(str, entries)):
            return "disabled_plugins decides whether CRI is on, which a node needs"
    if place[:1] == ("plugins",) and len(place) == 2 and value is not None:
        return f"{dotted(path)} is no table: a plugin's settings are in [{dotted(path)}]"
    if path[:1] == ("plugins",) and len(path) > 1 and "." not in str(path[1]):
        return f"{dotted(path)} has a name of version 1: write it as version 2 or later has it"
    return None


def _overlaps(place: Path, pattern: Path, value: Any) -> bool:
    """Whether a value is at or below a place; one that removes a table also above it."""
    size = min(len(place), len(pattern))
    if len(place) < len(pattern) and value is not None:
        return False
    return all(
        want == "*" or str(have).lower() == str(want).lower()
        for have, want in zip(place[:size], pattern[:size], strict=True)
    )


def placed(values: Mapping[Path, Any], version: int, path: str, line: int) -> dict[Path, Any]:
    """The values by their place in a file.

    + values: as :func:`values_of` has them
    + version: of the file
    + path, line: of the file and the line that states its version

    ConfigError: the file's version has no place for one of them.
    """
    found = {}
    for each, value in values.items():
        place = place_in(each, version)
        if place is None:
            raise ConfigError(
                path,
                line,
                1,
                f"has version {version}, which has no place for {dotted(each)}: containerd of that "
                "version does not know it",
            )
        found[place] = value
    return found
