"""A mirror of Docker's RPM repository, as tests serve it: that of an RPM host's image."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pysequoia import Cert

from tests.repositories.keys import Key
from tests.repositories.server import Server, other
from tests.targets.container import Target


class RpmMirror:
    """``/srv/rpm/docker`` of a host below a server, signed by the key of the host's image.

    + server: what serves it
    + target: the host; its own key is ``/srv/rpm/good.asc``

    .. code:: python

        mirror = RpmMirror(server, target)
        repository = Repository(**mirror.fields())
    """

    def __init__(self, server: Server, target: Target) -> None:
        self.server = server
        self.path = f"rpm-{target.name}/docker"
        self.folder = server.folder / self.path
        self.folder.parent.mkdir()
        with tarfile.open(fileobj=io.BytesIO(target.folder("/srv/rpm/docker"))) as packed:
            packed.extractall(self.folder.parent, filter="data")
        self.key = target.read("/srv/rpm/good.asc")
        self.fingerprint = Cert.from_bytes(self.key.encode()).fingerprint.upper()

    @property
    def url(self) -> str:
        """Where it is, over HTTP."""
        return f"{self.server.http}/{self.path}"

    def fields(self, **other: object) -> Mapping[str, object]:
        """What :class:`kubenode.packages.source.Repository` is made of, over HTTP.

        + other: fields that are to be something else
        """
        return {
            "name": "docker",
            "url": self.url,
            "key": self.key,
            "fingerprint": self.fingerprint,
            "packages": ("containerd.io",),
            "signs_metadata": True,
            **other,
        }

    @contextmanager
    def signed_by(self, key: Key) -> Iterator[None]:
        """Its lists, not its packages, have another key's signature in this block."""
        text = (self.folder / "repodata/repomd.xml").read_text()
        signature = key.detached(text)
        with self.server.answering("*/repomd.xml.asc", other(signature)):
            yield
