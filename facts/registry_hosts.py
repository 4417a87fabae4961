"""The ``hosts.toml`` files that containerd reads for each registry, without what is secret in them.

Values of headers, which may be passwords, do not leave the host: the script sends a file without
them. Where it is not sure what is a header's value it sends nothing of the file, which is unknown
then.
"""

from __future__ import annotations

import posixpath
import re
from typing import TypedDict

from packaging.version import Version

from kubenode.files import whole_file
from kubenode.run import host_script
from kubenode.runtimes.containerd import hosts_toml
from kubenode.runtimes.containerd.hosts_toml import Effect
from kubenode.wire.reading import Reading

SCRIPT = host_script.read(
    __file__,
    "containerd_registry.sh",
    BACKUP_SUFFIX=whole_file.BACKUP_SUFFIX,
    DEFAULT_DIRECTORY=hosts_toml.DEFAULT_DIRECTORY,
)
"""Part of containerd's daemon probe: it goes on where that knows what ``config dump`` says."""


class RegistryProblemShape(TypedDict):
    """What is wrong with a file."""

    line: int
    problem: str
    effect: Effect
    """What comes of it, see :data:`kubenode.runtimes.containerd.hosts_toml.Effect`."""


class RegistryFileShape(TypedDict):
    """A ``hosts.toml`` file."""

    problems: list[RegistryProblemShape]
    has_header: bool | None
    """None: it could not be read."""
    error: str | None
    """Why it could not be read."""


class RegistryDirectoryShape(TypedDict):
    """A directory of ``config_path``."""

    exists: bool | None
    """None: it could not be read."""
    registries: list[str]
    """The directories in it."""
    error: str | None
    """Why it could not be read."""


class RegistryHostsShape(TypedDict):
    """What containerd finds in the directories of its ``config_path``; where it has none, what is
    in ``/etc/containerd/certs.d``, which nobody reads then."""

    directories: dict[str, RegistryDirectoryShape]
    files: dict[str, RegistryFileShape]
    open_to_others: list[str]
    """Files with headers or private keys that others than root may read, or own."""


class RegistryFileState(TypedDict):
    """A file as an operation needs it that may replace it."""

    exists: bool | None
    """None: it could not be read."""
    sum: str | None
    """SHA-256; None where it is not known."""
    private: bool
    """Whether it is root's, with no permission for others."""


def _directories(config_path: str) -> list[str]:
    stated = [path for path in config_path.split(":") if path.startswith("/")]
    return stated or [hosts_toml.DEFAULT_DIRECTORY]


def parse(
    reading: Reading, config_path: str | None, version: Version | None
) -> RegistryHostsShape | None:
    """The shape from what the host sent.

    + reading: of the daemon's probe
    + config_path: as containerd has it; None when that is not known
    + version: containerd's
    """
    if config_path is None:
        return None
    shape: RegistryHostsShape = {"directories": {}, "files": {}, "open_to_others": []}
    modes = _modes(reading, "registry_modes")
    named = _modes(reading, "registry_named")
    for directory in _directories(config_path):
        shape["directories"][directory] = _directory(reading, directory)
    for path in _files(reading):
        if posixpath.dirname(posixpath.dirname(path)) not in shape["directories"]:
            continue
        text = _text(reading, path)
        if text is None:
            shape["files"][path] = {
                "problems": [],
                "has_header": None,
                "error": _why(reading, path),
            }
            continue
        said = hosts_toml.read(text, posixpath.dirname(path), version)
        problems: list[RegistryProblemShape] = [
            {"line": line, "problem": str(problem), "effect": problem.effect}
            for line, problem in said.problems
        ]
        problems += _missing(reading, said.certificates, named)
        shape["files"][path] = {
            "problems": problems,
            "has_header": said.has_header,
            "error": None,
        }
        if said.has_header and not modes.get(path, False):
            shape["open_to_others"].append(path)
        shape["open_to_others"] += [key for key in said.keys if named.get(key) is False]
    # keys that are found by their names alone, in directories without hosts.toml
    shape["open_to_others"] += [
        path for path, private in named.items() if path.endswith(".key") and not private
    ]
    shape["open_to_others"] = sorted(set(shape["open_to_others"]))
    return shape


def _directory(reading: Reading, path: str) -> RegistryDirectoryShape:
    key = f"registry:{path}"
    if key in reading.absent:
        return {"exists": False, "registries": [], "error": None}
    if key in reading.unreadable or key not in reading.texts:
        error = reading.why_unreadable(key) or "it cannot be read"
        return {"exists": None, "registries": [], "error": error}
    names = [name for name in reading.text(key) if name]
    return {"exists": True, "registries": names, "error": None}


def states(reading: Reading) -> dict[str, RegistryFileState]:
    """``hosts.toml`` files and kubenode's certificates beside them, by path.

    + reading: of the daemon's probe
    """
    modes = _modes(reading, "registry_modes")
    sums = {
        line[66:]: line[:64]
        for line in reading.text("registry_sums")
        if re.fullmatch(r"[0-9a-f]{64} [ *]/.*", line)
    }
    paths = {*modes, *sums, *(path for path in reading.unreadable if path.endswith(_HOSTS))}
    return {
        path: {
            "exists": None if path not in modes else True,
            "sum": sums.get(path),
            "private": modes.get(path, False),
        }
        for path in sorted(paths)
        if path.startswith("/")
    }


_HOSTS = f"/{hosts_toml.NAME}"
_MODE = re.compile(r"-(?P<mode>[rwxsStT-]{9})\S? +\d+ +(?P<uid>\d+) .*? (?P<path>/.*)")


def _modes(reading: Reading, key: str) -> dict[str, bool]:
    """Whether each file that was listed is for root alone, by path."""
    found = filter(None, (_MODE.fullmatch(line) for line in reading.text(key)))
    return {each["path"]: each["mode"][3:] == "------" and each["uid"] == "0" for each in found}


def _files(reading: Reading) -> list[str]:
    sent = {key.partition(":")[2] for key in reading.texts if key.startswith("registry_text:")}
    return sorted(sent | {path for path in reading.unreadable if path.endswith(_HOSTS)})


def _text(reading: Reading, path: str) -> str | None:
    key = f"registry_text:{path}"
    if path in reading.unreadable or key not in reading.texts:
        return None
    lines = reading.text(key)
    return "".join(f"{line[1:]}\n" for line in lines if line)


def _why(reading: Reading, path: str) -> str:
    if reason := " ".join(reading.text(f"registry_why:{path}")):
        if reason == "it is too long":
            return reason
        if reason == "a password in a URL":
            return (
                f"it has {reason}, and so nothing of it is read: containerd drops that, remove it"
            )
        return (
            f"it has {reason} that is not written on a line of its own, and so nothing of it is "
            "read: write [header] tables with a line for each header"
        )
    return reading.why_unreadable(path) or "it cannot be read"


def _missing(
    reading: Reading, certificates: tuple[str, ...], named: dict[str, bool]
) -> list[RegistryProblemShape]:
    """What is named and is not there."""
    errors = [
        line
        for line in reading.text("registry_named")
        if line.endswith((": No such file or directory", ": Not a directory"))
    ]
    return [
        {"line": 1, "problem": f"names {path}, which does not exist", "effect": "fails"}
        for path in certificates
        if path not in named and any(f"'{path}'" in line or f" {path}:" in line for line in errors)
    ]
