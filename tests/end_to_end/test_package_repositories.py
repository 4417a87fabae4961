"""Repositories of packages on real hosts: proven before they are trusted, and installed from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from docker import DockerClient

from tests.repositories.docker_mirror import DockerMirror
from tests.repositories.server import Server
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets


@pytest.fixture(scope="module")
def mirror(package_server: Server) -> DockerMirror:
    return DockerMirror(package_server, "trixie", ["1.7", "2.1"])


@pytest.fixture(scope="module")
def node(docker_client: DockerClient, login_key: SshKey) -> Iterator[Target]:
    with Fleet(docker_client, login_key) as fleet:
        yield fleet.start("trixie")


def test_the_mirror_is_what_dockers_repository_is(mirror: DockerMirror, node: Target) -> None:
    """By apt alone, as Docker's documentation has it: it installs, runs, and is in Debian's way."""
    node.write("/etc/apt/keyrings/plain.asc", mirror.key.public)
    node.write(
        "/etc/apt/sources.list.d/plain.list",
        f"deb [signed-by=/etc/apt/keyrings/plain.asc] {mirror.linux}/debian trixie stable\n",
    )
    try:
        node.sh("apt-get update && apt-get install -y --no-install-recommends containerd.io=1.7*")
        assert node.sh("containerd --version").split()[2].startswith("1.7.24")
        assert node.sh("systemctl is-active containerd").strip() == "active"
        assert 'disabled_plugins = ["cri"]' in node.read("/etc/containerd/config.toml")
        assert "Remv containerd.io" in node.sh("apt-get -s install containerd")
        before = node.sh("systemctl show -p MainPID --value containerd")
        node.sh("apt-get install -y containerd.io")
        assert node.sh("containerd --version").split()[2].startswith("2.1.9")
        assert node.sh("systemctl show -p MainPID --value containerd") != before
    finally:
        node.sh(
            "apt-get purge -y containerd.io; "
            "rm -f /etc/apt/keyrings/plain.asc /etc/apt/sources.list.d/plain.list; apt-get update"
        )
