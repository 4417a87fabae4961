"""CRI-O's settings: what crio.conf and its drop-ins say together, and on which line.

Nothing here talks to a host. What CRI-O makes of several files, from its ``pkg/config`` and
``BurntSushi/toml`` (v1.34 to v1.36), and seen on CRI-O itself:

- ``/etc/crio/crio.conf`` first, then **every** file below ``crio.conf.d`` by name, whatever its
  name ends with, hidden ones and those in folders too. A copy that an editor or a package manager
  leaves there (``10-crio.conf.bak``, ``.rpmsave``) counts, and wins over what it is a copy of.
- A later file wins key by key, but a table ``[crio.runtime.runtimes.NAME]`` replaces all that
  earlier files say of that handler.
- ``conmon_cgroup`` and ``conmon`` of ``[crio.runtime]`` win over ``monitor_cgroup`` and
  ``monitor_path`` of every handler: they are deprecated, and still the way to say it for all.
- Keys fold case; a key that CRI-O does not know is ignored without a word.

Sources: crio.conf(5), crio.conf.d(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubenode.files import go_keys
from kubenode.files.cannot_tell import CannotTell
from kubenode.files.toml_text import Path, TomlText, dotted
from kubenode.linux.cgroups import Statement
from kubenode.linux.place import Place
from kubenode.runtimes.edit import ConfigError

MAIN = "/etc/crio/crio.conf"
DROP_INS = "/etc/crio/crio.conf.d"

_MOST_CHARACTERS = 128 * 1024
"""Of all its files: the whole of its settings has 25 KiB."""

RUNTIME = ("crio", "runtime")
CGROUP_MANAGER = (*RUNTIME, "cgroup_manager")
CONMON_CGROUP = (*RUNTIME, "conmon_cgroup")
DEFAULT_RUNTIME = (*RUNTIME, "default_runtime")
HANDLERS = (*RUNTIME, "runtimes")
PAUSE_IMAGE = ("crio", "image", "pause_image")
SIGNATURE_POLICY = ("crio", "image", "signature_policy")
NETWORK_DIR = ("crio", "network", "network_dir")
PLUGIN_DIRS = ("crio", "network", "plugin_dirs")
ROOT = ("crio", "root")
LISTEN = ("crio", "api", "listen")

_KINDS: Mapping[Path, type[Any]] = {
    CGROUP_MANAGER: str,
    CONMON_CGROUP: str,
    DEFAULT_RUNTIME: str,
    HANDLERS: dict,
    PAUSE_IMAGE: str,
    SIGNATURE_POLICY: str,
    NETWORK_DIR: str,
    PLUGIN_DIRS: list,
    ROOT: str,
    LISTEN: str,
}
_HANDLER_KEYS = ("runtime_type", "runtime_path", "monitor_cgroup", "monitor_path")
_NAMED_TABLES = frozenset({"runtimes", "workloads"})
"""Tables whose keys are names: a later file replaces what is below one of them as a whole."""
_ADDED_UP = frozenset({("crio", "storage_option")})
"""Settings of which every file's entries count."""
_NAMES: Mapping[type[Any], str] = {
    str: "a string",
    dict: "a table",
    list: "an array of strings",
}


@dataclass(frozen=True, slots=True)
class Setting(Place):
    """A value, and the line that states it."""

    value: Any


@dataclass(frozen=True)
class CrioConfig:
    """What files say together.

    + settings: the last statement of each setting, by its path in lower case
    + handlers: the settings of each handler, all of the last file that has its table
    + defined: where that table is
    """

    settings: Mapping[Path, Setting] = field(default_factory=dict)
    handlers: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    defined: Mapping[str, Place] = field(default_factory=dict)

    def get(self, path: Path) -> Setting | None:
        """A setting, None when no file states it.

        + path: such as :data:`CGROUP_MANAGER`
        """
        return self.settings.get(path)

    def value(self, path: Path) -> Any:
        """A setting's value, None when no file states it."""
        setting = self.settings.get(path)
        return None if setting is None else setting.value

    def monitor_cgroup(self, handler: str) -> Setting | None:
        """What decides in which cgroup a handler's monitors are; None: nothing does.

        + handler: its name
        """
        of_all = self.settings.get(CONMON_CGROUP)
        if of_all is not None and of_all.value:
            return of_all
        return self.handlers.get(handler, {}).get("monitor_cgroup")

    @property
    def monitor_cgroups(self) -> Iterable[Setting]:
        """What decides so for some handler or other."""
        found = [self.monitor_cgroup(name) for name in self.handlers] or [
            self.settings.get(CONMON_CGROUP)
        ]
        return [each for each in found if each is not None and each.value]


def order(paths: Iterable[str]) -> list[str]:
    """Paths of CRI-O's files in the order in which it reads them.

    + paths: of the main file and of files below :data:`DROP_INS`

    A folder's files come where the folder's name stands.
    """
    return sorted(paths, key=lambda path: (path != MAIN, path.split("/")))


def merged(files: Iterable[tuple[str, str]]) -> CrioConfig:
    """
    What CRI-O's files say together.

    + files: path and text of each, in CRI-O's order, see :func:`order`

    ConfigError: not TOML, a setting that kubenode reads has a value of another type, or is there
    in two spellings.

    **Example:**

    .. code:: python

        config = merged([("/etc/crio/crio.conf", text)])
        config.get(CGROUP_MANAGER)  # Setting("/etc/crio/crio.conf", 12, "systemd")
    """
    settings: dict[Path, Setting] = {}
    handlers: dict[str, Mapping[str, Setting]] = {}
    defined: dict[str, Place] = {}
    left = _MOST_CHARACTERS
    for path, text in files:
        left -= len(text)
        if left < 0:
            most = _MOST_CHARACTERS // 1024
            raise ConfigError(path, 1, 1, f"CRI-O's files are longer than {most} KiB")
        file = _File(path, text)
        settings.update(file.settings())
        for name, table in file.handlers().items():
            handlers[name], defined[name] = table, file.place((*HANDLERS, name))
    return CrioConfig(settings, handlers, defined)


class _File:
    """One file's text, and what it states."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.toml = TomlText(text)
        try:
            self.data: Mapping[str, Any] = self.toml.data
        except (ValueError, RecursionError) as error:
            found = re.search(r"\(at line (\d{1,9}), column (\d{1,9})\)", str(error))
            line, column = (int(found[1]), int(found[2])) if found else (1, 1)
            reason = re.sub(r" \(at (line .*|end of document)\)", "", str(error))[:200]
            raise ConfigError(path, line, column, reason) from None

    def place(self, path: Path) -> Place:
        """Where something is stated."""
        return Place(self.path, self.toml.line_of(self._spelled(path)))

    def settings(self) -> dict[Path, Setting]:
        found: dict[Path, Setting] = {}
        for path in _KINDS:
            self._value(path)
        self._leaves((), self.data, found)
        return found

    def handlers(self) -> dict[str, Mapping[str, Setting]]:
        handlers = self._value(HANDLERS) or {}
        found: dict[str, Mapping[str, Setting]] = {}
        for name, table in handlers.items():
            if not isinstance(table, dict):
                raise self._wrong((*HANDLERS, name), dict)
            own = {}
            for key in table:
                path = (*HANDLERS, name, key)
                if key.lower() in _HANDLER_KEYS and not isinstance(table[key], str):
                    raise self._wrong(path, str)
                own[key.lower()] = Setting(*_of(self.place(path)), table[key])
            found[name] = own
        return found

    def _leaves(self, above: Path, table: Mapping[str, Any], found: dict[Path, Setting]) -> None:
        for key, value in table.items():
            path = (*above, key)
            lower = tuple(str(each).lower() for each in path)
            if lower[0] != "crio" or lower[-1] in _NAMED_TABLES:
                continue
            if isinstance(value, dict):
                self._leaves(path, value, found)
            elif lower not in _ADDED_UP:
                found[lower] = Setting(self.path, self.toml.line_of(path), value)

    def _value(self, path: Path) -> Any:
        """The value at *path* in whatever spelling; None when there is none."""
        spelled = self._spelled(path)
        value: Any = self.data
        for size, key in enumerate(spelled):
            if not isinstance(value, dict):
                raise self._wrong(spelled[:size], dict)
            if key not in value:
                return None
            value = value[key]
        kind = _KINDS[path]
        if not isinstance(value, kind) or (
            kind is list and not all(isinstance(each, str) for each in value)
        ):
            raise self._wrong(spelled, kind)
        return value

    def _spelled(self, path: Path) -> Path:
        """*path* as the file spells it; what it does not have as it is given."""
        value: Any = self.data
        found: list[str | int] = []
        for index, key in enumerate(path):
            if isinstance(value, dict) and not (index and path[index - 1] in _NAMED_TABLES):
                keys = go_keys.any_case(str(key), value)
                if len(keys) > 1 and any(value[each] != value[keys[0]] for each in keys):
                    where = self.toml.line_of((*found, keys[1]))
                    names = " and ".join(keys)
                    raise ConfigError(
                        self.path, where, 1, f"{names} are one key to CRI-O: keep one"
                    )
                key = keys[-1] if keys else key
            found.append(key)
            value = value.get(key) if isinstance(value, dict) else None
        return tuple(found)

    def _wrong(self, path: Path, kind: type[Any]) -> ConfigError:
        line = self.toml.line_of(path)
        return ConfigError(self.path, line, 1, f"{dotted(path)} is not {_NAMES[kind]}")


def _of(place: Place) -> tuple[str, int | None]:
    return place.file, place.line


def crio_driver(files: Iterable[tuple[str, str]]) -> Statement | None:
    """CRI-O's statement of a cgroup driver: the last ``cgroup_manager`` of its files.

    + files: path and text of crio.conf and its drop-ins, in the order CRI-O reads them

    None when no file states one: CRI-O then takes systemd. CannotTell when a file cannot be
    understood.
    """
    try:
        setting = merged(files).get(CGROUP_MANAGER)
    except ConfigError as error:
        raise CannotTell(str(error)) from error
    if setting is None:
        return None
    if setting.value not in ("systemd", "cgroupfs"):
        raise CannotTell(f"{setting.file}: {setting.value[:60]!r} is no cgroup driver")
    return Statement(
        setting.file, setting.line, "systemd" if setting.value == "systemd" else "cgroupfs"
    )
