"""A configuration file's values and lines, whatever spelling its keys have.

Keys fold case, by the rules of :mod:`kubenode.files.go_keys`; names of plugins, handlers and
registries do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from kubenode.files import go_keys
from kubenode.files.toml_text import Path, TomlText, dotted
from kubenode.runtimes.edit import ConfigError

T = TypeVar("T")

DRIVER = "SystemdCgroup"
"""The option of runc's shim. Several spellings of it are no error: the last one counts."""

_NAMES_IN = frozenset({"plugins", "runtimes", "configs", "mirrors", "pinned_images"})
"""Tables whose keys are names, not settings."""

_KINDS: Mapping[type, str] = {dict: "a table", list: "an array", str: "a string", bool: "a boolean"}

_MOST_ENTRIES = 256
"""Of ``disabled_plugins`` and ``imports``: containerd has 60 plugins."""
_LONGEST_ENTRY = 4096


@dataclass(frozen=True)
class Document:
    """A file, or what ``containerd config dump`` prints."""

    path: str
    text: str
    data: Mapping[str, Any]
    version: int
    """The configuration version it is read as."""
    states_version: bool
    folds: go_keys.Decoder
    """How the release that reads it folds the case of keys."""

    @property
    def is_empty(self) -> bool:
        """Whether it states nothing at all: no line, or blank lines and comments only."""
        return not self.data

    @property
    def version_line(self) -> int:
        """The line that states the version, 1 when none does."""
        return self.line_of(("version",)) if self.states_version else 1

    def line_of(self, path: Path) -> int:
        """The line that states *path*, in whatever spelling; see :meth:`TomlText.line_of`.

        The first call for a file costs more than all else that is read of it.
        """
        return self.toml.line_of(self.spelled(path))

    @cached_property
    def toml(self) -> TomlText:
        """Its lines, and how they are edited."""
        return TomlText(self.text)

    def get(self, path: Path, kind: type[T]) -> T | None:
        """The value at *path*, None when there is none; ConfigError when its type is another."""
        value: Any = self.data
        for size, key in enumerate(self.spelled(path)):
            if not isinstance(value, dict):
                raise self.wrong(path[:size], f"is not {_KINDS[dict]}")
            if key not in value:
                return None
            value = value[key]
        if not isinstance(value, kind):
            raise self.wrong(path, f"is not {_KINDS[kind]}")
        return value

    def first(self, paths: Iterable[Path], kind: type[T]) -> T | None:
        """The value at the first of *paths* that has one; all are checked."""
        found = [value for path in paths if (value := self.get(path, kind)) is not None]
        return found[0] if found else None

    def entries(self, key: str) -> tuple[str, ...]:
        """The texts of a top-level array."""
        values = self.get((key,), list) or []
        if len(values) > _MOST_ENTRIES:
            raise self.wrong((key,), f"has more than {_MOST_ENTRIES} entries, which are not read")
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise self.wrong((key, index), f"is not {_KINDS[str]}")
            if len(value) > _LONGEST_ENTRY:
                raise self.wrong((key, index), "is longer than any path")
        return tuple(values)

    def wrong(self, path: Path, reason: str) -> ConfigError:
        """The error to raise for what stands at *path*.

        + reason: what is wrong with it, behind its name
        """
        line = self.line_of(path)
        text = self.text.split("\n")[line - 1]
        column = len(text) - len(text.lstrip()) + 1
        return ConfigError(self.path, line, column, f"{dotted(path)} {reason}")

    def spelled(self, path: Path) -> Path:
        """*path* as the file spells it; what it does not have as it is given.

        ConfigError where the file has two spellings of one table, or of a setting with two values.
        """
        value: Any = self.data
        found: list[str | int] = []
        for index, key in enumerate(path):
            if isinstance(value, dict) and isinstance(key, str) and not _is_name(path, index):
                keys = self.folds(key, self._alike(value, key))
                differ = len(keys) > 1 and any(value[each] != value[keys[0]] for each in keys)
                if differ and key != DRIVER:
                    first, last = (self.toml.line_of((*found, each)) for each in keys[:2])
                    raise ConfigError(
                        self.path,
                        last,
                        1,
                        f"{keys[1]} is {keys[0]} of line {first} again: containerd folds the case "
                        "of keys, so keep one",
                    )
                key = keys[-1] if keys else key
            found.append(key)
            value = _child(value, key)
        return tuple(found)

    def spellings(self, path: Path) -> list[Path]:
        """Every spelling of the last key of *path* that the file has."""
        table, key = self.spelled(path[:-1]), path[-1]
        value: Any = self.data
        for each in table:
            value = _child(value, each)
        keys = self.folds(str(key), self._alike(value, str(key))) if isinstance(value, dict) else []
        return [(*table, each) for each in keys]

    def _alike(self, table: Mapping[str, Any], key: str) -> list[str]:
        """The keys of *table* that differ from *key* in their case at most."""
        if id(table) not in self._by_case:
            index: dict[str, list[str]] = {}
            for each in table:
                index.setdefault(each.lower(), []).append(each)
            self._by_case[id(table)] = index
        return self._by_case[id(table)].get(key.lower(), [])

    @cached_property
    def _by_case(self) -> dict[int, dict[str, list[str]]]:
        """What :meth:`_alike` found, by the table's id: tables live as long as the file's data."""
        return {}


def _is_name(path: Path, index: int) -> bool:
    return index > 0 and path[index - 1] in _NAMES_IN


def _child(value: Any, key: Any) -> Any:
    try:
        return value[key] if isinstance(value, dict | list) else None
    except (LookupError, TypeError):
        return None
