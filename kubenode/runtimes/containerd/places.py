"""The place of a setting in each configuration version, whatever version its name is written in.

A user writes a setting once, with the name that version 2, 3 or 4 has for it, and a fleet has hosts
of all three. containerd itself converts whole files upwards, never a part of one, and never down.

Source: ``config_migrations`` of containerd's CRI plugin, and ``serviceMigrate`` of its server; see
:mod:`kubenode.runtimes.containerd.lower_version` for the tables.
"""

from __future__ import annotations

from kubenode.files.toml_text import Path
from kubenode.runtimes.containerd.lower_version import (
    MOVED_FROM_3,
    MOVED_FROM_4,
    SHARED_BY_IMAGES,
    has_place_in_2,
)
from kubenode.runtimes.containerd.tables import CRI, IMAGES, RUNTIME

_TO_3 = {old: new for new, old in MOVED_FROM_3.items()}
_TO_4 = {old: new for new, old in MOVED_FROM_4.items()}


def place_in(path: Path, version: int) -> Path | None:
    """
    Where a setting stands in a file; None where that version has no place for it.

    + path: its keys, as any of the versions 2, 3 and 4 has them
    + version: of the file

    What is no setting of CRI's or of the server's stands in all versions at the same place.

    **Example:**

    .. code:: python

        place_in(("plugins", "io.containerd.grpc.v1.cri", "sandbox_image"), 3)
        # ("plugins", "io.containerd.cri.v1.images", "pinned_images", "sandbox")
    """
    path = MOVED_FROM_4.get(path, path) if version < 4 else _TO_4.get(path, path)
    if version > 2:
        return _in_3(path)
    return _in_2(path)


def _in_3(path: Path) -> Path:
    if path[:2] != ("plugins", CRI) or len(path) < 3:
        return path
    for old, new in _TO_3.items():
        if path[: len(old)] == old:
            return (*new, *path[len(old) :])
    # streaming and the like stay with the plugin that keeps the name
    if path[2] in _OF_THE_SERVICE:
        return path
    return ("plugins", IMAGES if path[2] in SHARED_BY_IMAGES else RUNTIME, *path[2:])


_OF_THE_SERVICE = frozenset(
    {
        "disable_tcp_service",
        "stream_server_address",
        "stream_server_port",
        "stream_idle_timeout",
        "enable_tls_streaming",
        "x509_key_pair_streaming",
    }
)
"""What 2.x keeps in ``io.containerd.grpc.v1.cri`` itself, by its ``config dump``."""


def _in_2(path: Path) -> Path | None:
    for new, old in MOVED_FROM_3.items():
        if path[: len(new)] == new:
            return (*old, *path[len(new) :])
    if path[:2] == ("plugins", IMAGES) and len(path) > 2:
        return ("plugins", CRI, *path[2:]) if path[2] in SHARED_BY_IMAGES else None
    if path[:2] == ("plugins", RUNTIME) and len(path) > 2:
        return ("plugins", CRI, *path[2:]) if has_place_in_2(path) else None
    return path
