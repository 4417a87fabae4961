"""CNI as containerd uses it: where plugins are looked for, and which ones a network needs.

Nothing here talks to a host. Sources: containerd's ``docs/cri/config.md`` and go-cni's
``loadFromConfDir``; the CNI specification, "Section 1: Network configuration format". What
containerd makes of ``bin_dir`` and ``bin_dirs`` was seen with ``config dump`` of 1.6.20, 1.7.24 and
2.1.9.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from packaging.version import Version

UPSTREAM = "/opt/cni/bin"
"""Where upstream's plugins, Calico, Cilium, Flannel and nearly all others install."""
DEBIAN = "/usr/lib/cni"
"""Where Debian's containernetworking-plugins are, and where its containerd looks."""
DIRECTORIES = (UPSTREAM, DEBIAN)

_NAME = re.compile(r"[A-Za-z0-9._+-]{1,64}")
_PATH = re.compile(r"/[A-Za-z0-9._+/@:-]*")


def check_directories(directories: object) -> tuple[str, ...]:
    """*directories* themselves when they are absolute paths, ValueError if not."""
    if not isinstance(directories, (list, tuple)) or not directories:
        raise ValueError("cni_bin_dirs is a list of directories, such as ['/opt/cni/bin']")
    for path in directories:
        if not isinstance(path, str) or not _PATH.fullmatch(path):
            raise ValueError(f"cni_bin_dirs: {path!r} is not an absolute path without blanks")
    return tuple(dict.fromkeys(directories))


def takes_list(version: Version) -> bool:
    """Whether containerd looks in several directories (``bin_dirs``), or in one (``bin_dir``)."""
    return Version(version.base_version) >= Version("2.1")


def chosen(
    wanted: Sequence[str],
    current: Sequence[str],
    plugins: Collection[str],
    found: Mapping[str, Collection[str]],
    version: Version,
) -> tuple[str, ...]:
    """The directories to configure.

    + wanted: those of the setting, the most important first
    + current: those that count now
    + plugins: those that the network needs, none when there is no network yet
    + found: the plugins in each directory
    + version: containerd's

    A release with a list looks in all of them: what is there already stays, and what is missing is
    added, so that nothing which works stops. One with a single directory keeps one that has all
    the network's plugins, or gets the first of *wanted* that has them, or else the first.
    """
    if takes_list(version):
        return (*current, *(path for path in wanted if path not in current))
    for path in (*current[:1], *wanted) if plugins else ():
        if set(plugins) <= set(found.get(path, ())):
            return (path,)
    return (wanted[0],)


def plugins_of(text: str) -> list[str]:
    """The plugins that a network's configuration names, in order.

    + text: a ``.conflist``, or a ``.conf`` of one plugin

    ValueError: it is no network configuration; the message says why.
    """
    try:
        said: Any = json.loads(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None
    if not isinstance(said, dict):
        raise ValueError("is not a JSON object")
    listed = said.get("plugins", [said])
    if not isinstance(listed, list) or not listed:
        raise ValueError("names no plugins")
    names = []
    for plugin in listed:
        name = plugin.get("type") if isinstance(plugin, dict) else None
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError("has a plugin without a type")
        ipam = plugin.get("ipam")
        own = ipam.get("type") if isinstance(ipam, dict) else None
        names += [name, *([own] if isinstance(own, str) and _NAME.fullmatch(own) else [])]
    return list(dict.fromkeys(names))
