"""Packages that ``dnf.conf`` keeps dnf's hands off: read, and added to, to the letter.

``excludepkgs`` of the section ``[main]`` holds a package where dnf has no version locks: no upgrade
touches it then, and it is changed on purpose with ``disable_excludes=main``.

Sources: dnf.conf(5), and what dnf 4.23 and dnf5 5.4 make of a key that stands there twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CONF = "/etc/dnf/dnf.conf"

_KEYS = ("exclude", "excludepkgs")


@dataclass(frozen=True)
class _Assignment:
    """A key of ``[main]`` that counts.

    + line: its index
    + words: what it names, those of its continuation lines too
    """

    line: int
    words: tuple[str, ...]


def names(lines: Sequence[str]) -> list[str]:
    """What dnf leaves alone: names, globs, ``NAME.ARCH``.

    + lines: of :data:`CONF`

    Of a key that stands there twice the last one counts; ``exclude`` and ``excludepkgs`` add up.
    """
    return [word for found in _assignments(lines).values() for word in found.words]


def with_names(text: str, more: Sequence[str]) -> str:
    """The text of :data:`CONF` with packages that dnf leaves alone from now on.

    + text: what is there; empty where there is no such file
    + more: names of packages

    Nothing of what is there is changed but the one line that gets longer. ValueError where the text
    has no such place that dnf would read.

    **Example:**

    .. code:: python

        with_names("[main]\\nbest=True\\n", ["runc"])  # "[main]\\nexcludepkgs=runc\\nbest=True\\n"
    """
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    there = names(lines)
    new = [name for name in dict.fromkeys(more) if name not in there]
    if not new:
        return text
    found = _assignments(lines).get("excludepkgs")
    if found is not None:
        lines[found.line] = _longer(lines[found.line], new)
    else:
        _begin(lines, new)
    if set(names(lines)) != {*there, *new}:
        raise ValueError(f"{CONF} has no place for excludepkgs that dnf would read: see its [main]")
    return "".join(lines)


def without_names(text: str, less: Sequence[str]) -> str:
    """The text of :data:`CONF` with packages that dnf may touch again.

    + text: what is there
    + less: names of packages; globs and what ``exclude`` names are others', and stay

    A line that would name nothing any more goes. ValueError where dnf would still leave one alone.

    **Example:**

    .. code:: python

        without_names("[main]\\nexcludepkgs=runc\\nx=1\\n", ["runc"])  # "[main]\\nx=1\\n"
    """
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    there = names(lines)
    gone = [name for name in dict.fromkeys(less) if name in there]
    if not gone:
        return text
    of_key = [
        number for at, key, number, _ in _lines(lines) if (at, key) == ("main", "excludepkgs")
    ]
    # without the last one, an earlier one would count
    stays = sum(lines[number][0] not in " \t" for number in of_key) > 1
    for number in of_key:
        goes_on = number + 1 in of_key and lines[number + 1][0] in " \t"
        lines[number] = _shorter(lines[number], gone, stays or goes_on)
    if set(names([line for line in lines if line])) != {*there} - {*gone}:
        raise ValueError(f"{CONF} leaves {' '.join(gone)} alone in a way that is not kubenode's")
    return "".join(lines)


def _shorter(line: str, gone: Sequence[str], stays: bool) -> str:
    head, equals, value = ("", "", line) if line[0] in " \t" else line.partition("=")
    words = [word for word in re.split(r"[,\s]+", value) if word]
    rest = [word for word in words if word not in gone]
    if rest == words:
        return line
    if not rest and not (equals and stays):
        return ""
    margin = re.match(r"[ \t]*", value)
    ending = value[len(value.rstrip("\r\n")) :]
    return f"{head}{equals}{margin[0] if margin else ''}{','.join(rest)}{ending}"


def _longer(line: str, new: Sequence[str]) -> str:
    text = line.rstrip()
    ending = "\r\n" if line.endswith("\r\n") else "\n"
    comma = "" if text.endswith(("=", ",")) else ","
    return f"{text}{comma}{','.join(new)}{ending}"


def _begin(lines: list[str], new: Sequence[str]) -> None:
    """Behind the section's head, where no line goes on with what stands above it."""
    assignment = f"excludepkgs={','.join(new)}\n"
    for number, line in enumerate(lines):
        if line.strip() == "[main]" and line[0] == "[":
            lines[number] = line if line.endswith("\n") else f"{line}\n"
            lines.insert(number + 1, assignment)
            return
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    lines += ["[main]\n", assignment]


def _assignments(lines: Sequence[str]) -> dict[str, _Assignment]:
    found: dict[str, _Assignment] = {}
    for section, key, number, value in _lines(lines):
        words = tuple(word for word in re.split(r"[,\s]+", value) if word)
        if section != "main" or key not in _KEYS:
            continue
        if lines[number][0] in " \t":
            words = (*found[key].words, *words)
            number = found[key].line
        found[key] = _Assignment(number, words)
    return found


def _lines(lines: Sequence[str]) -> Iterator[tuple[str, str, int, str]]:
    """Each line that says something of a key: section, key, index, value."""
    section = key = ""
    for number, line in enumerate(lines):
        text = line.strip()
        if not text or text[0] in "#;":
            # dnf reads no continuation behind it
            key = ""
            continue
        if line[0] not in " \t":
            key = ""
            if text.startswith("[") and text.endswith("]"):
                section = text[1:-1]
                continue
            key, _, text = text.partition("=")
            key = key.strip()
        if key:
            yield section, key, number, text
