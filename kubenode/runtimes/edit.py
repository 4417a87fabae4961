"""A runtime's file as it has to be, or why it cannot be used."""

from __future__ import annotations

from dataclasses import dataclass


class ConfigError(Exception):
    """A configuration that cannot be used, as ``PATH:LINE:COL: reason``."""

    def __init__(self, path: str, line: int, column: int, reason: str) -> None:
        super().__init__(f"{path}:{line}:{column}: {reason}")
        self.path = path
        self.line = line
        self.column = column
        self.reason = reason


@dataclass(frozen=True)
class SettingChange:
    """A setting that an edit changes, in the file's notation; None: it was not, or is not, stated.

    + what: the setting, such as ``plugins.cri.sandbox_image``
    + old: its value before
    + new: its value afterwards
    """

    what: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        return f"{self.what}: {self.old or 'not stated'} -> {self.new or 'removed'}"


@dataclass(frozen=True)
class Edit:
    """A file's new text and what is different in it. No changes: the text is the old one."""

    text: str
    changes: tuple[SettingChange, ...]
