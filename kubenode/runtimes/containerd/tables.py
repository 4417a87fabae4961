"""Where a configuration version keeps CRI's settings."""

from __future__ import annotations

from dataclasses import dataclass

from kubenode.files.toml_text import Path

CRI = "io.containerd.grpc.v1.cri"
RUNTIME = "io.containerd.cri.v1.runtime"
IMAGES = "io.containerd.cri.v1.images"
SERVER = "io.containerd.server.v1.grpc"

CRI_PLUGINS = frozenset({"cri", CRI, RUNTIME, IMAGES})
"""Entries of ``disabled_plugins`` that leave a node without CRI. ``cri`` is the name in version 1
files; in later versions it keeps the daemon from starting. The ``cri.v1`` ones are 2.x only."""


@dataclass(frozen=True)
class Tables:
    """Where a configuration version keeps CRI's settings."""

    plugin: Path
    containerd: Path
    pause_image: Path
    snapshotter: Path
    registry: Path
    cni: Path
    has_legacy_handlers: bool

    @classmethod
    def one_plugin(cls, name: str) -> Tables:
        plugin = ("plugins", name)
        return cls(
            plugin=plugin,
            containerd=(*plugin, "containerd"),
            pause_image=(*plugin, "sandbox_image"),
            snapshotter=(*plugin, "containerd", "snapshotter"),
            registry=(*plugin, "registry"),
            cni=(*plugin, "cni"),
            has_legacy_handlers=True,
        )


_VERSION_1 = Tables.one_plugin("cri")
VERSION_2 = Tables.one_plugin(CRI)
_VERSION_3 = Tables(
    plugin=("plugins", RUNTIME),
    containerd=("plugins", RUNTIME, "containerd"),
    pause_image=("plugins", IMAGES, "pinned_images", "sandbox"),
    snapshotter=("plugins", IMAGES, "snapshotter"),
    registry=("plugins", IMAGES, "registry"),
    cni=("plugins", RUNTIME, "cni"),
    has_legacy_handlers=False,
)


def tables_of(version: int) -> tuple[Tables, ...]:
    """The tables that count in a file, its own first."""
    if version == 1:
        return (_VERSION_1,)
    return (VERSION_2, _VERSION_3) if version == 2 else (_VERSION_3,)
