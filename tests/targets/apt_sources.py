"""Where packages of a target come from: the apt sources and settings of this machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SETTINGS = ("Acquire::Check-Date", "Acquire::http::Proxy", "Acquire::https::Proxy")


@dataclass(frozen=True)
class Source:
    """A binary package source of sources.list(5)."""

    uri: str
    suite: str
    signed_by: str | None

    def line(self) -> str:
        """The one-line form, with the main component alone."""
        option = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        return f"deb {option}{self.uri} {self.suite} main"


def for_suite(suite: str, root: Path = Path("/")) -> list[Source]:
    """This machine's Debian sources, moved to *suite*; none when it is no Debian.

    + suite: a Debian code name
    + root: where the machine's files are
    """
    release = _os_release(root)
    own = release.get("VERSION_CODENAME")
    if release.get("ID") != "debian" or not own:
        return []
    wanted = {
        own: suite,
        f"{own}-updates": f"{suite}-updates",
        f"{own}-security": f"{suite}-security",
    }
    sources = []
    for source in _configured(root):
        uri = _first_mirror(source.uri, root)
        if source.suite in wanted and uri is not None:
            moved = Source(uri, wanted[source.suite], source.signed_by)
            if moved not in sources:
                sources.append(moved)
    return sources if any(source.suite == suite for source in sources) else []


def settings() -> str:
    """apt.conf(5) text for a target: how this machine reaches its sources."""
    # A testing suite's Release file lives for a week; an archive's snapshot may be older.
    lines = ['Acquire::Check-Valid-Until "false";']
    if shutil.which("apt-config"):
        dump = subprocess.run(
            ["apt-config", "dump"],
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        ).stdout
        lines += [line for line in dump.splitlines() if line.partition(" ")[0] in _SETTINGS]
    return "\n".join(lines) + "\n"


def _os_release(root: Path) -> dict[str, str]:
    try:
        text = (root / "etc/os-release").read_text()
    except OSError:
        return {}
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key: value.strip("\"'") for key, value in pairs}


def _configured(root: Path) -> Iterator[Source]:
    folder = root / "etc/apt/sources.list.d"
    for path in sorted(folder.glob("*.sources")):
        yield from _deb822(path.read_text())
    for path in [root / "etc/apt/sources.list", *sorted(folder.glob("*.list"))]:
        if path.is_file():
            yield from _one_line(path.read_text())


def _deb822(text: str) -> Iterator[Source]:
    for stanza in text.split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')} {line.strip()}"
            else:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if fields.get("enabled", "yes") == "no" or "deb" not in fields.get("types", "").split():
            continue
        signed_by = fields.get("signed-by", "")
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                # a key may stand in the field itself: then apt's trusted keys must do
                yield Source(uri, suite, signed_by if signed_by.startswith("/") else None)


def _one_line(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        words = line.partition("#")[0].replace("[", " [ ").replace("]", " ] ").split()
        if not words or words[0] != "deb":
            continue
        options: list[str] = []
        rest = words[1:]
        if rest[:1] == ["["] and "]" in rest:
            end = rest.index("]")
            options, rest = rest[1:end], rest[end + 1 :]
        signed_by = next((o.partition("=")[2] for o in options if o.startswith("signed-by=")), None)
        if len(rest) >= 2:
            yield Source(rest[0], rest[1], signed_by)


def _first_mirror(uri: str, root: Path) -> str | None:
    """A plain URI: cloud images name a file with mirrors, which a target does not have."""
    if not uri.startswith("mirror+file:"):
        return uri
    try:
        lines = (root / uri.removeprefix("mirror+file:").lstrip("/")).read_text().splitlines()
    except OSError:
        return None
    return next((line.split()[0] for line in lines if line.strip() and line[0] != "#"), None)
