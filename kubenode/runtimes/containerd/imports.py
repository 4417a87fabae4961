"""Which files containerd loads, in which order, and whose settings count."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Sequence

from packaging.version import Version

from kubenode.runtimes.containerd.config import Config
from kubenode.runtimes.containerd.releases import Release, globs_from_root


def import_patterns(config: Config, version: Version) -> list[str]:
    """
    The files a file imports, as absolute paths or shell patterns, in order.

    + config: the file
    + version: containerd's. Before 1.6.29 and 1.7.16 a relative pattern with ``*`` is taken from
      the daemon's working directory, which is ``/`` under systemd, not from the file's
    """
    directory = posixpath.dirname(config.path)
    return [
        posixpath.normpath(
            posixpath.join("/" if "*" in name and globs_from_root(version) else directory, name)
        )
        for name in config.settings.imports
    ]


def load_order(files: Sequence[Config], version: Version) -> list[Config]:
    """
    The files containerd loads, in its order; a file that none of them imports is left out.

    + files: the main file first, then every file on the host that may be imported, in any order
    + version: containerd's

    ``config dump`` is no guide to the order: 1.x prints ``imports`` in a random one.
    """
    known = {config.path: config for config in files}
    loaded: dict[str, Config] = {}
    pending = [files[0].path]
    while pending:
        path = pending.pop(0)
        if path not in loaded and path in known:
            loaded[path] = known[path]
            for pattern in import_patterns(known[path], version):
                pending += sorted(each for each in known if is_imported(each, pattern))
    return list(loaded.values())


def is_imported(path: str, pattern: str) -> bool:
    """Whether an import *pattern*, as :func:`import_patterns` gives it, takes in *path*."""
    if "*" not in pattern:
        return path == pattern
    parts, patterns = path.split("/"), pattern.split("/")
    # unlike fnmatch's, Go's * does not match a slash
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))


def in_force(files: Sequence[Config], release: Release) -> list[Config]:
    """
    The files whose CRI settings count, in the order they are loaded; a later one wins.

    + files: the main file, then the drop-ins in the order of :func:`load_order`
    + release: containerd's

    The first of the result must state all that is wanted: pass ``is_root=True`` to
    :func:`kubenode.runtimes.containerd.editing.edit` for it. Before 2.0 it is the only one: the
    last file that states the CRI plugin replaces all earlier ones. From 2.0 it is the main file,
    and the others are merged over it key by key.
    """
    if not release.drop_in_replaces_plugin:
        return list(files)
    stating = [config for config in files if config.settings.states_cri]
    return [stating[-1] if stating else files[0]]
