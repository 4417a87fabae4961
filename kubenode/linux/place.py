"""A line of a file: where a host says something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict


class PlaceShape(TypedDict):
    """Where something is stated, in facts."""

    file: str
    line: int | None
    """None: the file as a whole says it."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file and a line of it.

    What has more to say of a line than where it is inherits from this.
    """

    file: str
    line: int | None
    """From 1; None for the file as a whole."""

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"

    @property
    def shape(self) -> PlaceShape:
        """The place as facts have it."""
        return {"file": self.file, "line": self.line}
