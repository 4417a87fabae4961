"""What else is exchanged: Docker Engine, cri-dockerd, and CRI-O of packages and of bundles.

docker.io is Debian's; docker-ce, MCR, cri-dockerd and CRI-O are stand-ins of what no registry has,
or the real programs where the variables of :mod:`tests.repositories` name them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.end_to_end import crio_hosts, docker_hosts
from tests.repositories import binaries, containerd_io, cri_dockerd, cri_o, docker_engine, keys
from tests.repositories.apt import AptRepository
from tests.repositories.docker_engine import CE, MCR
from tests.repositories.releases import sum_of
from tests.repositories.server import Server
from tests.soak.exchanges import Kind, Subject
from tests.soak.host import Host
from tests.targets.container import Target
from tests.targets.cri import Cri
from tests.targets.fleet import Fleet


@dataclass(frozen=True)
class Loop:
    """A host that goes round among kinds.

    + subject: whose
    + kinds: of which it has the first
    + settings: with which ``deploy.py`` gives it that one
    """

    subject: Subject
    kinds: Sequence[Kind]
    settings: Mapping[str, Any]


# ---- Docker Engine and cri-dockerd


class _Docker(Subject):
    def may_follow(self, old: Kind, new: Kind) -> bool:
        # one operation exchanges the one and then the other: between these there is a third kind
        same = [old.arguments[name] == new.arguments[name] for name in ("source", "cri_dockerd")]
        return same.count(True) == 1

    def keeps_pods(self, old: Kind, new: Kind) -> bool:
        return not self.has_packages(old, new)

    def has_packages(self, old: Kind, new: Kind) -> bool:
        return bool(old.arguments["source"] != new.arguments["source"])

    def lasts(self, old: Kind, new: Kind) -> tuple[float, float]:
        return self.seconds if self.has_packages(old, new) else (4.0, 2.0)

    def cri(self, host: Host) -> Cri:
        return host.target.cri_dockerd()

    def load_image(self, host: Host) -> None:
        host.target.load_pause_image()


_ENGINES = ("docker.io", "docker-ce", "docker-ee")
DOCKER = _Docker(
    "docker",
    "/run/cri-dockerd.sock",
    packages=(
        *_ENGINES,
        *("docker-cli", "docker-ce-cli", "docker-ee-cli", "containerd", "containerd.io", "runc"),
    ),
    programs=(
        *("dockerd", "docker", "docker-proxy", "cri-dockerd"),
        *("containerd", "containerd-shim-runc-v2", "ctr", "runc"),
    ),
    units=(
        *("docker.service", "docker.socket", "containerd.service"),
        *("cri-docker.service", "cri-docker.socket"),
    ),
    links={"cri-docker.service": "/usr/local/lib/kubenode/cri-dockerd/current"},
    seconds=(6.0, 8.0),
)
_DEBIANS = ("docker.io", "docker-cli", "containerd", "runc")
SUITE = "trixie"


def docker(server: Server, host: Host) -> Loop:
    """Serve Docker Engine of Debian's, of Docker's and of Mirantis', and two cri-dockerds.

    + server: what serves them
    + host: that is going to have them
    """
    docker_hosts.ready(host.target)
    debian = [binaries.plain(SUITE, name) for name in _DEBIANS]
    release = debian[0].name.split("_")[1].partition("+")[0]
    # of the same version at both, or where a host comes from would tell which one it has
    rest = containerd_io.built("1.7", SUITE)
    debs = {
        "docker.io": (debian, _DEBIANS),
        **{
            edition.engine: (
                [*docker_engine.built(edition, SUITE), rest],
                (edition.engine, edition.cli, "containerd.io"),
            )
            for edition in (CE, MCR)
        },
    }
    folder = server.folder
    sources = {
        name: _repository(server, name, paths, packages) for name, (paths, packages) in debs.items()
    }
    says = [None] if cri_dockerd.real() else ["0.4.3", "0.4.2"]
    archives = [docker_hosts.source(folder, each) for each in says]
    both = [(name, archive) for archive in archives for name in sources]
    kinds = [
        Kind(
            f"{name} with cri-dockerd {archive['version']}, Docker",
            {"source": sources[name], "cri_dockerd": archive},
            release.rpartition(":")[2],
            name,
        )
        for name, archive in both
        # from each but this one both are exchanged in turn
        if archive is archives[0] or name != MCR.engine
    ]
    first = kinds[0].arguments
    return Loop(
        DOCKER,
        kinds,
        {
            "kubenode_runtime": "docker",
            "kubenode_docker_source": first["source"],
            "kubenode_cri_dockerd_source": first["cri_dockerd"],
        },
    )


def _repository(
    server: Server, name: str, debs: Sequence[Path], packages: Sequence[str]
) -> dict[str, Any]:
    key = keys.generated()
    repository = AptRepository(server.folder / name, SUITE)
    for deb in debs:
        repository.add(deb)
    repository.publish(key)
    return {
        "name": f"test-{name.replace('.', '-')}",
        "url": f"{server.http}/{name}",
        "suite": SUITE,
        "components": ["stable"],
        "key": key.public,
        "fingerprint": key.fingerprint,
        "packages": list(packages),
    }


# ---- CRI-O

CRIO = Subject(
    "crio",
    crio_hosts.SOCKET,
    packages=("cri-o", "conmon", "crun", "runc"),
    programs=("crio", "pinns"),
    units=("crio.service",),
    links={"crio.service": "/usr/local/lib/kubenode/crio/current"},
    seconds=(4.0, 3.0),
)


def crio_packages(server: Server, host: Host) -> Loop:
    """Serve packages of CRI-O of two minor releases.

    + server: what serves them
    + host: that is going to have them
    """
    crio_hosts.ready(host.target)
    versions = (cri_o.OLD, cri_o.NEW)
    minors = crio_hosts.Minors(server, SUITE, *versions)
    stated = [minors.settings(version.rpartition(".")[0]) for version in versions]
    source = json.loads(stated[0]["kubenode_crio_source"])
    kinds = [
        Kind(
            "package",
            {"source": source, "version": version.rpartition(".")[0]},
            version,
            "cri-o",
        )
        for version in versions
    ]
    settings = {
        "kubenode_crio_source": source,
        "kubenode_crio_version": kinds[0].arguments["version"],
    }
    return Loop(CRIO, kinds, {"kubenode_runtime": "crio", **settings})


def crio_bundles(server: Server, host: Host) -> Loop:
    """Have bundles of CRI-O of two minor releases.

    + server: beside whose files they are
    + host: that is going to have them
    """
    crio_hosts.ready(host.target)
    names = " ".join(cri_o.needs(cri_o.NEW))
    host.target.sh(
        f"apt-get -qq update; apt-get -qq install -y --no-install-recommends {names} >/dev/null"
    )
    path, content = cri_o.messages()
    encoded = base64.b64encode(content).decode()
    host.target.sh(f"mkdir -p {Path(path).parent}; printf %s {encoded} | base64 -d >{path}")
    kinds = []
    for version in (cri_o.OLD, cri_o.NEW):
        bundle = cri_o.bundle(version, server.folder)
        source = {
            "version": version,
            "url": str(bundle.path),
            "sha256": {"amd64": sum_of(bundle.path)},
        }
        kinds.append(Kind("bundle", {"source": source}, version, None))
    settings = {"kubenode_runtime": "crio", "kubenode_crio_source": kinds[0].arguments["source"]}
    return Loop(CRIO, kinds, settings)


LOOPS = {"docker": docker, "crio packages": crio_packages, "crio bundles": crio_bundles}
"""Of a server and a host, by name."""


def started(fleet: Fleet, name: str) -> Target:
    """A target for a loop.

    + fleet: where it is from
    + name: of :data:`LOOPS`
    """
    return docker_hosts.start(fleet, SUITE) if name == "docker" else fleet.start(SUITE)
