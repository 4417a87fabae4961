"""What keeps upgrades from an RPM package: dnf's version locks and excludes, zypper's locks.

A package is held when its manager has a lock that leaves it where it is. Which file counts depends
on the manager: dnf 4 does not read dnf 5's, and a host that was upgraded may have both.

Sources: the pages of dnf's and dnf5's versionlock, dnf.conf(5), zypper(8), and the files that
dnf 4.23, dnf5 5.4 and zypper 1.14 write.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from kubenode.files import toml_text
from kubenode.packages import dnf_excludes

RpmManager = Literal["dnf4", "dnf5", "zypper"]

_DNF4 = ("/etc/dnf/plugins/versionlock.list", "/etc/yum/pluginconf.d/versionlock.list")
_DNF5 = "/etc/dnf/versionlock.toml"
_ZYPPER = "/etc/zypp/locks"

FILES = (*_DNF4, _DNF5, dnf_excludes.CONF, _ZYPPER)
"""All files that may have locks."""


def is_held(
    name: str, architecture: str, manager: RpmManager | None, files: Mapping[str, Sequence[str]]
) -> bool:
    """Whether upgrades leave a package alone.

    + name: the package's
    + architecture: the package's, such as ``x86_64``
    + manager: the host's; None is none that has locks
    + files: lines of those of :data:`FILES` that the host has, by path

    A lock that somebody has made wider on purpose, such as one of all releases of a version, is
    one. What keeps only some versions away (``versionlock exclude``, zypper's locks with a version)
    is none. ValueError where a file is not what its manager takes.

    **Example:**

    .. code:: python

        is_held("runc", "x86_64", "zypper", {"/etc/zypp/locks": ["solvable_name: runc"]})
    """
    if manager == "zypper":
        return any(_is_lock(block, name) for block in _blocks(files.get(_ZYPPER, ())))
    if manager is None:
        return False
    excluded = any(
        fnmatch.fnmatchcase(name, spec) or fnmatch.fnmatchcase(f"{name}.{architecture}", spec)
        for spec in dnf_excludes.names(files.get(dnf_excludes.CONF, ()))
    )
    if excluded:
        return True
    if manager == "dnf5":
        return _is_in_toml(name, files.get(_DNF5, ()))
    # NAME-EPOCH:VERSION-RELEASE.*, or yum's EPOCH:NAME-VERSION-RELEASE.*; "!" excludes versions
    lock = re.compile(rf"(\d+:)?{re.escape(name)}-(\d+:)?\d.*")
    return any(lock.fullmatch(line.strip()) for path in _DNF4 for line in files.get(path, ()))


def _is_in_toml(name: str, lines: Sequence[str]) -> bool:
    try:
        packages = toml_text.loads("\n".join(lines)).get("packages", [])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{_DNF5}: {error}") from error
    return isinstance(packages, list) and any(_pins(package, name) for package in packages)


def _pins(package: Any, name: str) -> bool:
    if not isinstance(package, dict) or package.get("name") != name:
        return False
    conditions = package.get("conditions")
    return isinstance(conditions, list) and any(
        isinstance(condition, dict) and condition.get("comparator") in ("=", "<", "<=")
        for condition in conditions
    )


def _blocks(lines: Sequence[str]) -> Iterator[dict[str, str]]:
    block: dict[str, str] = {}
    for line in [*lines, ""]:
        key, _, value = line.partition(":")
        if value.strip():
            block[key.strip()] = value.strip()
        elif not line.strip() and block:
            yield block
            block = {}


def _is_lock(block: Mapping[str, str], name: str) -> bool:
    wanted = block.get("solvable_name")
    if wanted is None or block.get("type", "package") != "package":
        return False
    # of some versions, or of what one repository has
    if "version" in block or "repo" in block or "solvable_arch" in block:
        return False
    if block.get("case_sensitive", "on") != "on":
        name, wanted = name.lower(), wanted.lower()
    if block.get("match_type", "glob") == "glob":
        return fnmatch.fnmatchcase(name, wanted)
    return name == wanted
