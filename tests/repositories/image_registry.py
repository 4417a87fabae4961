"""A registry of one image in a folder that is served over HTTP: enough for a pull, no password."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager

from tests.repositories.server import Handler, Server
from tests.targets import image_archive, pause_image

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@contextmanager
def serving(server: Server, *names: str) -> Iterator[str]:
    """Serve the pause image, in this block; what is put before a name, ``ADDRESS:PORT``.

    + server: what serves it
    + names: of the image, such as ``pause:3.10.1``
    """
    layer = pause_image.layer()
    config = json.dumps(
        {
            "architecture": image_archive.ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Entrypoint": ["/bin/busybox", "sleep", "2147483647"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    ).encode()
    for name in names:
        repository, _, tag = name.partition(":")
        folder = server.folder / "v2" / repository
        for kind in ("blobs", "manifests"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        for content in (layer, config):
            (folder / "blobs" / _digest(content)).write_bytes(content)
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": _part(config, "container.image.v1+json"),
                "layers": [_part(layer, "image.rootfs.diff.tar")],
            }
        ).encode()
        for reference in (tag, _digest(manifest)):
            (folder / "manifests" / reference).write_bytes(manifest)
    with server.answering("/v2/*/manifests/*", _answered):
        yield server.http.removeprefix("http://")


def _answered(handler: Handler) -> None:
    try:
        content = handler.content()
    except OSError:
        handler.send_error(404)
        return
    handler.send_response(200)
    handler.send_header("Content-Type", _MANIFEST)
    handler.send_header("Docker-Content-Digest", _digest(content))
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def _part(content: bytes, kind: str) -> dict[str, object]:
    media = f"application/vnd.docker.{kind}"
    return {"mediaType": media, "size": len(content), "digest": _digest(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
