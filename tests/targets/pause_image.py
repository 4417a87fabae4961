"""A pause image for machines without a registry: static busybox, asleep."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import tarfile
import tomllib
from pathlib import Path

from tests.targets.daemon import TargetError

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def stated_in(config: str) -> str:
    """The pause image that a containerd 2.x configuration, as TOML text, names."""
    plugins = tomllib.loads(config)["plugins"]
    return str(plugins["io.containerd.cri.v1.images"]["pinned_images"]["sandbox"])


def as_upload(path: str, name: str) -> bytes:
    """A tar file that holds the image archive as the file *path*."""
    return _tar({path: (archive(name, static_busybox()), 0o644)})


def archive(name: str, busybox: bytes) -> bytes:
    """An image archive, as ``docker save`` writes it.

    + name: what the image is called, such as ``registry.k8s.io/pause:3.10``
    + busybox: the program, statically linked
    """
    layer = _layer(busybox)
    layer_digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Entrypoint": ["/bin/busybox", "sleep", "2147483647"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{layer_digest}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [layer_name]}]
    return _tar(
        {
            config_name: (config, 0o644),
            layer_name: (layer, 0o644),
            "manifest.json": (json.dumps(manifest).encode(), 0o644),
        }
    )


def layer() -> bytes:
    """The layer of the image, a tar file."""
    return _layer(static_busybox())


# the first process of a PID namespace gets no signal that it has no handler for
_PAUSE = b"""\
#!/bin/sh
trap 'exit 0' TERM INT
while :; do /bin/busybox sleep 3600 & wait $!; done
"""


def _layer(busybox: bytes) -> bytes:
    return _tar(
        {
            "bin/busybox": (busybox, 0o755),
            "bin/sh": (busybox, 0o755),
            # what CRI-O runs in a pause container, whatever the image says
            "pause": (_PAUSE, 0o755),
        }
    )


def static_busybox() -> bytes:
    """The program, from the package busybox-static; TargetError when it is missing."""
    path = shutil.which("busybox")
    program = Path(path).read_bytes() if path else b""
    # a dynamic program names its loader; in an image of one file there is none
    if not program or b"/ld-linux" in program or b"/ld-musl" in program:
        raise TargetError("a static busybox is missing: apt-get install busybox-static")
    return program


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for path, (content, mode) in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))
    return output.getvalue()
