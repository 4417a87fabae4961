"""Hosts that are to have CRI-O, and repositories that have it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.repositories import cri_o, image_registry, keys
from tests.repositories.apt import AptRepository
from tests.repositories.releases import sum_of
from tests.repositories.server import Server
from tests.targets.container import Target
from tests.vm.machine import Machine

SOCKET = "/run/crio/crio.sock"
PAUSE_IMAGE = "registry.k8s.io/pause:3.10.1"


class Minors:
    """A repository for each minor release of CRI-O, as the project has them, signed by one key.

    + server: what serves them
    + suite: the Debian release of the hosts
    + versions: of CRI-O
    """

    def __init__(self, server: Server, suite: str, *versions: str) -> None:
        self.server = server
        self.suite = suite
        self.key = keys.generated()
        for version in versions:
            minor = version.rpartition(".")[0]
            repository = AptRepository(server.folder / f"cri-o/v{minor}/deb", suite)
            repository.add(cri_o.built(version))
            repository.publish(self.key)

    def settings(self, minor: str, **more: str) -> dict[str, str]:
        """Settings of a host that has CRI-O of a minor release from here."""
        source = {
            "url": f"{self.server.http}/cri-o/v{{minor}}/deb",
            "suite": self.suite,
            "components": ["stable"],
            "key": self.key.public,
            "fingerprint": self.key.fingerprint,
        }
        return {
            "kubenode_runtime": "crio",
            "kubenode_crio_source": json.dumps(source),
            "kubenode_crio_version": f'"{minor}"',
            **more,
        }


def ready(target: Target) -> None:
    """Give a target what CRI-O needs of it: overlay on overlay fails, a volume is none."""
    target.sh("mkdir -p /var/lib/containerd/containers")
    target.sh("ln -s /var/lib/containerd/containers /var/lib/containers")


def give_needs(machine: Machine) -> None:
    """What the bundle's programs run by, and a fresh machine lacks; the original needs nothing."""
    names = " ".join(cri_o.needs(cri_o.NEW))
    machine.sh(
        f"apt-get -qq update; apt-get -qq install -y --no-install-recommends {names} >/dev/null"
    )
    path, content = cri_o.messages()
    machine.write(f"{path}.base64", base64.b64encode(content).decode())
    machine.sh(f"base64 -d {path}.base64 >{path}")


def bundle_source(folder: Path) -> dict[str, Any]:
    """What ``kubenode_crio_source`` is for a bundle on this machine.

    + folder: where it is put
    """
    release = cri_o.bundle(cri_o.NEW, folder)
    return {
        "version": release.version,
        "url": str(release.path),
        "sha256": {"amd64": sum_of(release.path)},
    }


def images_from(target: Target | Machine, server: Server) -> None:
    """Let CRI-O pull the pause image from a server of :func:`image_registry.serving`."""
    location = server.http.removeprefix("http://")
    target.write(
        "/etc/containers/registries.conf.d/50-test.conf",
        f'[[registry]]\nprefix = "registry.k8s.io"\nlocation = "{location}"\ninsecure = true\n',
    )


def images(server: Server) -> AbstractContextManager[str]:
    """Serve the pause image, in this block."""
    return image_registry.serving(server, PAUSE_IMAGE.rpartition("/")[2])


def live(target: Target) -> Mapping[str, str]:
    """What CRI-O says that it has in force: by key, as TOML; of keys that are there once."""
    said = target.sh("crio --config= --config-dir= status config 2>/dev/null")
    pairs = (line.strip().partition(" = ") for line in said.splitlines() if " = " in line)
    return {key: value for key, _, value in pairs}
