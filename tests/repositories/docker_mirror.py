"""A mirror of Docker's repository, as tests serve it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.repositories import containerd_io, keys
from tests.repositories.apt import AptRepository
from tests.repositories.keys import Key
from tests.repositories.server import Server


class DockerMirror:
    """``linux/debian`` below a server, signed by a key of its own.

    + server: what serves it
    + suite: the Debian release of the hosts that it is for
    + series: the releases of containerd.io that are in it, of ``containerd_io.RELEASES``
    + key: who signs; a new one by default

    .. code:: python

        mirror = DockerMirror(server, "trixie", ["1.7", "2.1"])
        repository = Repository(**mirror.fields())
    """

    def __init__(
        self,
        server: Server,
        suite: str,
        series: Iterable[str] = ("1.7", "2.1"),
        key: Key | None = None,
    ) -> None:
        self.server = server
        self.key = key or keys.generated()
        self.apt = AptRepository(server.folder / "linux/debian", suite)
        for each in series:
            self.add(each)
        self.publish()

    def add(self, series: str, version: str | None = None) -> str:
        """Have a release in it, once it is published again; its version.

        + series: of ``containerd_io.RELEASES``
        + version: another one than that release's
        """
        deb = containerd_io.built(series, self.apt.suite, version)
        self.apt.add(deb)
        return deb.name.split("_")[1]

    def publish(self) -> None:
        """Index and sign what is in it, and put the key beside it as ``gpg``."""
        self.apt.publish(self.key)
        self.gpg.write_text(self.key.public)

    @property
    def gpg(self) -> Path:
        """The key's file, beside the packages as Docker has it."""
        return self.server.folder / "linux/debian/gpg"

    @property
    def linux(self) -> str:
        """What ``https://download.docker.com/linux`` is on this server, over HTTP."""
        return f"{self.server.http}/linux"

    def fields(self, **other: object) -> Mapping[str, object]:
        """What :class:`kubenode.packages.source.Repository` is made of, over HTTP.

        + other: fields that are to be something else
        """
        return {
            "name": "docker",
            "url": f"{self.linux}/debian",
            "suite": self.apt.suite,
            "components": (self.apt.component,),
            "key": self.key.public,
            "fingerprint": self.key.fingerprint,
            "packages": ("containerd.io",),
            **other,
        }
