"""What apt's source files say, as apt reads them: entries with their file and line.

Source: sources.list(5), both formats.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

DIRECTORY = "/etc/apt/sources.list.d"
MAIN = "/etc/apt/sources.list"

_MOST_LINES = 20_000


@dataclass(frozen=True)
class Entry:
    """One source: a URL and a suite.

    + file, line: where it is stated; of a stanza its first line
    + url: without the slash at its end
    + suite: such as ``trixie``
    + components: none where the suite ends in ``/``
    + signed_by: ``Signed-By``: paths or fingerprints, one blank between two; ``a key in the file``
      where the key itself stands there; empty when there is none
    """

    file: str
    line: int
    url: str
    suite: str
    components: tuple[str, ...]
    signed_by: str

    @property
    def place(self) -> str:
        """``FILE:LINE``."""
        return f"{self.file}:{self.line}"


def entries(files: Mapping[str, str]) -> list[Entry]:
    """The sources that apt uses, in the order of their files; none of a line that is out of form.

    + files: text by path, those of :data:`MAIN` and :data:`DIRECTORY`
    """
    found: list[Entry] = []
    for path, text in files.items():
        lines = text.splitlines()[:_MOST_LINES]
        found += _deb822(path, lines) if path.endswith(".sources") else _one_line(path, lines)
    return found


def base(url: str) -> str:
    """A source's URL as apt compares two of them.

    + url: with or without a slash at its end
    """
    scheme, colon, rest = url.partition("://")
    server, slash, path = rest.partition("/")
    return f"{scheme.lower()}{colon}{server.lower()}{slash}{path}".rstrip("/")


def list_name(url: str, suite: str) -> str:
    """What the names of a repository's lists in ``/var/lib/apt/lists`` begin with.

    + url: of the repository
    + suite: such as ``trixie``

    Source: apt, ``URItoFileName``.
    """
    path = url.partition("://")[2]
    if suite.endswith("/"):
        # of a flat repository "/" is the URL itself
        folder = f"{path}/{suite.removeprefix('/')}"
    else:
        folder = f"{path}/dists/{suite}/"
    quoted = re.sub(r'[\\|{}\[\]<>"^~_=!@#$%&*]', lambda c: f"%{ord(c[0]):02x}", folder)
    return quoted.replace("/", "_")


def _one_line(path: str, lines: list[str]) -> Iterator[Entry]:
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split(None, 1)
        if len(words) != 2 or words[0] not in ("deb", "deb-src"):
            continue
        rest, options = words[1], ""
        if rest.startswith("["):
            options, closed, rest = rest[1:].partition("]")
            if not closed:
                continue
        fields = rest.split()
        if len(fields) >= 2:
            yield Entry(
                path, number, fields[0].rstrip("/"), fields[1], tuple(fields[2:]),
                _signed_by(options),
            )  # fmt: skip


def _signed_by(options: str) -> str:
    for option in options.split():
        name, _, value = option.partition("=")
        if name.lower() == "signed-by":
            return " ".join(value.split(","))
    return ""


def _deb822(path: str, lines: list[str]) -> Iterator[Entry]:
    for first, fields in _stanzas(lines):
        types = fields.get("types", "").split()
        enabled = fields.get("enabled", "yes").strip().lower()
        if enabled in ("no", "false", "without", "off", "disable", "0"):
            continue
        if not {"deb", "deb-src"} & set(types):
            continue
        key = fields.get("signed-by", "")
        signed_by = "a key in the file" if "-----BEGIN" in key else " ".join(_key_words(key))
        for url in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Entry(
                    path,
                    first,
                    url.rstrip("/"),
                    suite,
                    tuple(fields.get("components", "").split()),
                    signed_by,
                )


def _key_words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _stanzas(lines: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    fields: dict[str, str] = {}
    first, name = 0, ""
    for number, line in enumerate([*lines, ""], 1):
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield first, fields
            fields, name = {}, ""
        elif line[0] in " \t":
            if name:
                fields[name] += f"\n{line.strip()}"
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            first = first if fields else number
            fields[name] = value.strip()
