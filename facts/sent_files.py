"""Files that a host has sent, for the facts that read a file and its drop-ins."""

from __future__ import annotations

from collections.abc import Sequence

from kubenode.wire.reading import Reading


def text(reading: Reading, path: str) -> str | None:
    """A file's text; None when it was not sent."""
    return "\n".join(reading.text(path)) if path in reading.texts else None


def texts(
    reading: Reading, paths: Sequence[str], drop_ins: str | None = None
) -> list[tuple[str, str]]:
    """Path and text of the *paths* that were sent, then of the files in the folder *drop_ins*."""
    found = [path for path in paths if path in reading.texts]
    if drop_ins:
        found += sorted(path for path in reading.texts if path.rpartition("/")[0] == drop_ins)
    return [(path, "\n".join(reading.text(path))) for path in found]


def unreadable(reading: Reading, *paths: str) -> str | None:
    """The first of *paths*, or of what is in them, that could not be read, and why if known."""
    for path in sorted(reading.unreadable):
        if any(path == wanted or path.startswith(f"{wanted}/") for wanted in paths):
            why = reading.why_unreadable(path)
            return f"{path}: {why}" if why else path
    return None
