"""A pause image for machines without a registry: static busybox, asleep."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

from tests.targets import image_archive
from tests.targets.daemon import TargetError


def stated_in(config: str) -> str:
    """The pause image that a containerd 2.x configuration, as TOML text, names."""
    plugins = tomllib.loads(config)["plugins"]
    return str(plugins["io.containerd.cri.v1.images"]["pinned_images"]["sandbox"])


def as_upload(path: str, name: str) -> bytes:
    """A tar file that holds the image archive as the file *path*."""
    return image_archive.tar({path: (archive(name, static_busybox()), 0o644)})


def archive(name: str, busybox: bytes) -> bytes:
    """An image archive, as ``docker save`` writes it.

    + name: what the image is called, such as ``registry.k8s.io/pause:3.10``
    + busybox: the program, statically linked
    """
    return image_archive.archive(name, _files(busybox), _ENTRYPOINT)


def layer() -> bytes:
    """The layer of the image, a tar file."""
    return image_archive.tar(_files(static_busybox()))


_ENTRYPOINT = ["/bin/busybox", "sleep", "2147483647"]


# the first process of a PID namespace gets no signal that it has no handler for
_PAUSE = b"""\
#!/bin/sh
trap 'exit 0' TERM INT
while :; do /bin/busybox sleep 3600 & wait $!; done
"""


def _files(busybox: bytes) -> image_archive.Files:
    return {
        "bin/busybox": (busybox, 0o755),
        "bin/sh": (busybox, 0o755),
        # what CRI-O runs in a pause container, whatever the image says
        "pause": (_PAUSE, 0o755),
    }


def static_busybox() -> bytes:
    """The program, from the package busybox-static; TargetError when it is missing."""
    path = shutil.which("busybox")
    program = Path(path).read_bytes() if path else b""
    # a dynamic program names its loader; in an image of one file there is none
    if not program or b"/ld-linux" in program or b"/ld-musl" in program:
        raise TargetError("a static busybox is missing: apt-get install busybox-static")
    return program
