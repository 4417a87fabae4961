"""Docker Engine of three vendors on one host: each takes the other's place, on one data root.

docker-ce and docker-ee are in no registry of Debian's: their packages are stand-ins with Debian's
daemon inside, see :mod:`tests.repositories.docker_engine`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from tests.conftest import RunPyinfra
from tests.end_to_end import docker_hosts
from tests.end_to_end.test_docker import engine, is_no_change, serves, words
from tests.end_to_end.test_prepare import DEPLOY
from tests.repositories import containerd_io, docker_engine, keys
from tests.repositories.apt import AptRepository
from tests.repositories.docker_engine import CE, MCR
from tests.repositories.docker_mirror import DockerMirror
from tests.repositories.server import Server
from tests.soak import loops
from tests.targets import pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.pyinfra_cli import Result
from tests.targets.ssh_key import SshKey

pytestmark = [pytest.mark.targets, pytest.mark.soak]

LICENCE = "/var/lib/docker/docker.lic"
IMAGE = "registry.k8s.io/pause:3.10"
CONTAINERD_IO = {"bookworm": "1.6", "trixie": "1.7", "forky": "2.1"}
"""The series that is built around the suite's own containerd."""
NEWER = {"bookworm": "1.6.21-1", "trixie": "1.7.25-1", "forky": "2.1.10-1"}
"""What Mirantis has of it here, by name alone."""

BROKEN = """\
[Service]
ExecStartPre=/bin/sh -c '! grep -q Mirantis /usr/bin/docker'
"""

Sources = dict[str, dict[str, Any]]
Deploy = Callable[..., Result]


@pytest.fixture(scope="module", params=loops.choice(["trixie"], CONTAINERD_IO))
def node(
    request: pytest.FixtureRequest,
    docker_client: DockerClient,
    login_key: SshKey,
) -> Iterator[Target]:
    """A host that has nothing of Docker yet."""
    with Fleet(docker_client, login_key) as fleet:
        target = docker_hosts.start(fleet, request.param)
        docker_hosts.ready(target)
        yield target


@pytest.fixture(scope="module")
def sources(node: Target, package_server: Server) -> Sources:
    """What ``kubenode_docker_source`` is for Docker's packages and for Mirantis', by name."""
    suite = node.suite
    series = CONTAINERD_IO[suite]
    mirror = DockerMirror(package_server, suite, [series])
    for deb in docker_engine.built(CE, suite):
        mirror.apt.add(deb)
    mirror.publish()
    key = keys.generated()
    other = AptRepository(package_server.folder / f"mirantis-{suite}", suite, "stable-29.4")
    for deb in (*docker_engine.built(MCR, suite), containerd_io.built(series, suite, NEWER[suite])):
        other.add(deb)
    other.publish(key)
    return {
        "docker": dict(mirror.fields(packages=("docker-ce", "docker-ce-cli", "containerd.io"))),
        "mcr": {
            "name": "mirantis",
            "url": f"{package_server.http}/mirantis-{suite}",
            "suite": suite,
            "components": ("stable-29.4",),
            "key": key.public,
            "fingerprint": key.fingerprint,
            "packages": ("docker-ee", "docker-ee-cli", "containerd.io"),
        },
    }


@pytest.fixture
def deploy(node: Target, run_pyinfra: RunPyinfra, tmp_path: Path) -> Deploy:
    def run(*arguments: str, **data: Any) -> Result:
        host = docker_hosts.host(node, tmp_path, **data)
        hosts = pyinfra_cli.write_inventory(tmp_path / "inventory.py", [host])
        return run_pyinfra(*(arguments or ("-y",)), hosts, DEPLOY)

    return run


def fact(node: Target, run_pyinfra: RunPyinfra, inventory: Path) -> dict[str, Any]:
    """What kubenode's fact says of the host's engine."""
    said = run_pyinfra("--json", inventory, "fact", "kubenode.facts.docker.Docker")
    assert said.returncode == 0, said.output
    [by_host] = said.json().values()
    [value] = by_host.values()
    return value  # type: ignore[no-any-return]


def installed(node: Target) -> set[str]:
    """Packages that have to do with the engine, by dpkg."""
    said = node.sh("dpkg-query -W -f '${db:Status-Status} ${Package}\\n'")
    names = [line.split(" ")[1] for line in said.splitlines() if line.startswith("installed ")]
    return {name for name in names if name.startswith(("docker", "containerd", "runc"))}


def container(node: Target) -> str:
    """Start a container that no pod has, as somebody would; its id."""
    return node.sh(f"docker run -d --network none {IMAGE}").strip()


def test_docker_ce_takes_the_place_of_debians_once_no_container_runs(
    node: Target, deploy: Deploy, sources: Sources
) -> None:
    assert deploy().returncode == 0
    assert "docker.io" in installed(node)
    node.load_pause_image(IMAGE)
    before = installed(node)
    running = container(node)

    refused = deploy(docker_source=sources["docker"])
    assert refused.returncode == 1, refused.output
    assert "Docker Engine would be exchanged, and 1 containers run and would not survive it" in (
        words(refused.output)
    )
    assert installed(node) == before
    assert node.sh(f"docker inspect -f '{{{{.State.Running}}}}' {running}") == "true\n"

    node.sh(f"docker stop -t 0 {running}")
    changed = deploy(docker_source=sources["docker"])
    assert changed.returncode == 0, changed.output
    assert installed(node) == {"docker-ce", "docker-ce-cli", "containerd.io"}
    assert serves(node)
    assert engine(node, "CgroupDriver") == "systemd"
    # the data root is the same
    assert running in node.sh("docker ps -aq --no-trunc")
    assert node.sh(f"docker images -q {IMAGE}").strip()
    assert {"docker-ce", "containerd.io"} <= set(node.sh("apt-mark showhold").split())

    again = deploy(docker_source=sources["docker"])
    assert again.returncode == 0, again.output
    assert is_no_change(again.output), again.output


@pytest.mark.skipif(not loops.is_soak(), reason="make soak changes vendors to and fro")
def test_mcr_takes_the_place_of_docker_ce_and_back_again(
    node: Target, deploy: Deploy, sources: Sources, tmp_path: Path, run_pyinfra: RunPyinfra
) -> None:
    licence = tmp_path / "docker.lic"
    licence.write_text("a licence of the tests\n")
    mcr = {"runtime": "mcr", "docker_source": sources["mcr"], "mcr_licence": str(licence)}
    changed = deploy(**mcr)
    assert changed.returncode == 0, changed.output
    assert "docker-ce, docker-ce-cli go for it; the data root stays" in words(changed.output)
    assert installed(node) == {"docker-ee", "docker-ee-cli", "containerd.io"}
    # containerd.io has the same name at both: the vendor's own comes, as it is newer
    version = node.sh("dpkg-query -W -f '${Version}' containerd.io")
    assert version == NEWER[node.suite]
    assert serves(node)
    assert node.sh("docker ps -aq").split()
    assert node.sh(f"stat -c '%a %u' {LICENCE}") == "400 0\n"
    said = fact(node, run_pyinfra, tmp_path / "inventory.py")
    assert (said["edition"], said["engine"]["platform"]) == ("mcr", MCR.platform)
    again = deploy(**mcr)
    assert again.returncode == 0, again.output
    assert is_no_change(again.output), again.output

    back = deploy(docker_source=sources["docker"])
    assert back.returncode == 0, back.output
    assert installed(node) == {"docker-ce", "docker-ce-cli", "containerd.io"}
    assert serves(node)
    # MCR's client is only recommended: on hardened hosts there is none, and the package tells
    node.sh("mv /usr/bin/docker /usr/bin/docker.aside")
    said = fact(node, run_pyinfra, tmp_path / "inventory.py")
    node.sh("mv /usr/bin/docker.aside /usr/bin/docker")
    assert said["edition"] == "docker"


@pytest.mark.skipif(not loops.is_soak(), reason="make soak has one that does not serve")
def test_an_engine_that_does_not_serve_gives_way_to_the_one_before(
    node: Target, deploy: Deploy, sources: Sources
) -> None:
    if not installed(node):
        assert deploy().returncode == 0
    before = installed(node)
    held = node.sh("apt-mark showhold")
    # as one that a daemon of this vendor would not start with
    node.write("/etc/systemd/system/docker.service.d/50-broken.conf", BROKEN)
    result = deploy(runtime="mcr", docker_source=sources["mcr"])
    assert result.returncode == 1, result.output
    assert "the new Docker Engine did not come up; the old program is back, and serves again" in (
        words(result.output)
    ), result.output
    assert installed(node) == before
    assert node.sh("apt-mark showhold") == held
    assert serves(node)
