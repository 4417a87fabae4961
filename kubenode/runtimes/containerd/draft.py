"""A file's text under change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kubenode.files.toml_text import Path, UnsafeEditError, dotted, leaves, literal
from kubenode.runtimes.containerd.document import Document
from kubenode.runtimes.edit import ConfigError, Edit, SettingChange

_MOST_WORK = 1024 * 1024
"""Characters that a file's edits may look at: each looks at the whole of it."""


class Draft:
    """A text under change."""

    def __init__(self, config: Document) -> None:
        self.path = config.path
        self._spelled = config.spelled
        self.toml = config.toml
        self.changes: list[SettingChange] = []
        self.left = _MOST_WORK

    def replace(self, path: Path, key: str, value: list[str]) -> None:
        """Make *key* with *value* what stands in the place of *path*."""
        with self.refusing():
            path = self._spelled(path)
            old, other = self.toml.get(path), (*path[:-1], key)
            stated = self.toml.get(other)
            self.toml = self.toml.with_other_key(path, key, value)
            self.changes.append(SettingChange(dotted(path), literal(old), None))
            if stated != value:
                before = None if stated is None else literal(stated)
                self.changes.append(SettingChange(dotted(other), before, literal(value)))

    def put(self, path: Path, value: Any) -> None:
        """Make *value* what stands at *path*, in the file's spelling."""
        self.put_spelled(self._spelled(path), value)

    def put_spelled(self, path: Path, value: Any) -> None:
        """Make *value* what stands at exactly *path*."""
        with self.refusing():
            old = self.toml.get(path)
            if type(old) is not type(value) or old != value:
                self.left -= len(self.toml.text)
                if self.left < 0:
                    raise ConfigError(
                        self.path, 1, 1, "needs too many changes for its length: shorten it"
                    )
                self.toml = self.toml.with_value(path, value)
                stated = None if old is None else literal(old)
                self.changes.append(SettingChange(dotted(path), stated, literal(value)))

    def move(self, old: Path, new: Path, value: str | bool | int | list[str]) -> None:
        """Make *value* what stands at *new*, and nothing what stood at *old*, which is the file's
        spelling; a header that says nothing any more goes too."""
        with self.refusing():
            before = literal(self.toml.get(old))
            self.toml = self.toml.without(old)
            self.changes.append(SettingChange(dotted(old), before, None))
            self.put(new, value)
            for size in range(len(old) - 1, 1, -1):
                self.toml = self.toml.without_header(old[:size])

    def remove(self, path: Path) -> None:
        """Take away what stands at *path*, a value or a table with all that is in it."""
        with self.refusing():
            path = self._spelled(path)
            old = self.toml.get(path)
            if isinstance(old, dict):
                self.toml = self.toml.without_table(path)
                for leaf, value in leaves(old).items():
                    self.changes.append(SettingChange(dotted((*path, *leaf)), literal(value), None))
            elif old is not None:
                self.toml = self.toml.without(path)
                self.changes.append(SettingChange(dotted(path), literal(old), None))

    def drop(self, key: str, unwanted: frozenset[str]) -> None:
        """Take the *unwanted* entries out of the top-level array *key*."""
        path = self._spelled((key,))
        with self.refusing():
            old = self.toml.get(path) or []
            if not unwanted.isdisjoint(old):
                self.toml = self.toml.without_entries(path, unwanted)
                self.changes.append(SettingChange(key, literal(old), literal(self.toml.get(path))))

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Name the file in the reason why an edit is not safe."""
        try:
            yield
        except (UnsafeEditError, RecursionError) as error:
            # a place in this text means nothing to who reads the message
            raise ConfigError(self.path, 1, 1, f"cannot be edited safely: {error}") from None

    def finish(self) -> Edit:
        return Edit(self.toml.text, tuple(self.changes))
