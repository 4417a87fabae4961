"""Container images made by hand: a few files, and no registry."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

Files = Mapping[str, tuple[bytes, int]]
"""Content and mode by path, without a slash before it."""


def archive(name: str, files: Files, entrypoint: Sequence[str]) -> bytes:
    """An image archive, as ``docker save`` writes it.

    + name: what the image is called, such as ``registry.k8s.io/pause:3.10``
    + files: all that is in it
    + entrypoint: what it runs
    """
    layer = tar(files)
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {
                "Entrypoint": list(entrypoint),
                "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{digest}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [layer_name]}]
    return tar(
        {
            config_name: (config, 0o644),
            layer_name: (layer, 0o644),
            "manifest.json": (json.dumps(manifest).encode(), 0o644),
        }
    )


def tar(files: Files) -> bytes:
    """A tar file of files."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as opened:
        for path, (content, mode) in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), mode
            opened.addfile(member, io.BytesIO(content))
    return output.getvalue()
