"""The containerds that a host may have: of the distribution's package, of a mirror of Docker's and
of release archives, an old one and a new one each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.repositories import binaries, releases
from tests.repositories.apt import AptRepository
from tests.repositories.docker_mirror import DockerMirror
from tests.repositories.server import Server
from tests.soak.exchanges import Kind, Subject
from tests.soak.host import Host

_RUNC = "/opt/kubenode-test/runc"


class _Containerd(Subject):
    def keeps_pods(self, old: Kind, new: Kind) -> bool:
        is_downgrade = old.version[0] == "2" and new.version[0] == "1"
        # a package takes its shim with it
        takes_shim = old.package is not None and new.package is None
        return not is_downgrade and not takes_shim


CONTAINERD = _Containerd(
    "containerd",
    "/run/containerd/containerd.sock",
    packages=("containerd", "containerd.io", "runc"),
    programs=("containerd", "containerd-shim-runc-v2", "ctr", "runc"),
    units=("containerd.service",),
    victims=("containerd", "containerd restarts"),
)


def kinds(server: Server, host: Host, old: str) -> list[Kind]:
    """Serve six of them, and let the host have no other source of packages.

    + server: what serves them, and nothing else
    + host: that is going to have them
    + old: the Debian release whose containerd is the older one

    The first has both releases, packages and archives.
    """
    suite = host.target.suite
    folder = server.folder
    mirror = DockerMirror(server, suite, [_SERIES[old], "2.1"])
    distribution = AptRepository(folder / "debian", suite, "main")
    debs = [binaries.plain(each, "containerd") for each in (old, "forky")]
    for deb in (*debs, binaries.plain(suite, "runc")):
        distribution.add(deb)
    distribution.publish(mirror.key)
    host.target.sh(
        "apt-get -qq update; apt-get -qq install -y --no-install-recommends wget >/dev/null"
    )
    host.target.sh("rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*")
    keyring = "/etc/apt/keyrings/tests.asc"
    host.target.write(keyring, mirror.key.public)
    host.target.write(
        "/etc/apt/sources.list.d/debian.sources",
        f"Types: deb\nURIs: {server.http}/debian\nSuites: {suite}\nComponents: main\n"
        f"Signed-By: {keyring}\n",
    )
    wrapper = releases.RUNC.read_text().replace("/usr/sbin/runc.real", _RUNC)
    (folder / "runc").write_text(wrapper)
    host.target.sh("mkdir -p /opt/kubenode-test")
    place = Path(f"/proc/{host.target.pid}/root{_RUNC}")
    place.write_bytes(releases.debians_runc(suite))
    place.chmod(0o755)
    docker = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in mirror.fields().items()
    }
    found = []
    for suite_of, series in ((old, _SERIES[old]), ("forky", "2.1")):
        # the file's name has an escape for what is in a version
        version = binaries.plain(suite_of, "containerd").name.split("_")[1].replace("%3a", ":")
        release = releases.of_debian(suite_of, folder)
        stated = releases.stated(release, server.http, folder / "runc")
        found.append(
            [
                Kind("distribution", {"version": version}, release.version, "containerd"),
                Kind("archive", {"source": stated}, release.version, None),
                Kind("docker", {"source": docker, "version": series}, release.version, _IO),
            ]
        )
    (debian_1, archive_1, docker_1), (debian_2, archive_2, docker_2) = found
    return [debian_1, docker_2, archive_1, archive_2, docker_1, debian_2]


def settings(first: Kind) -> dict[str, Any]:
    """With what ``deploy.py`` gives a host the first of them."""
    return {"kubenode_containerd_version": first.arguments["version"]}


_IO = "containerd.io"
_SERIES = {"bookworm": "1.6", "trixie": "1.7"}
