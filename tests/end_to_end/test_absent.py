"""containerd is taken away, and comes back with the same configuration and data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from tests.conftest import ROOT
from tests.soak import loops
from tests.targets import image, pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.pyinfra_cli import Result
from tests.targets.ssh_key import SshKey

pytestmark = [pytest.mark.targets, pytest.mark.soak]

MAIN = "/etc/containerd/config.toml"
THEIRS = "/etc/containerd/certs.d/registry.example.org/hosts.toml"
SECRET = "Basic c2VjcmV0LW9mLW91cnM="
OURS = """\
from kubenode.operations import containerd

containerd.registry_hosts(
    registries={
        "docker.io": {"host": {"https://mirror.example.org": {"header": {"Authorization": "%s"}}}}
    },
)
containerd.service(limit_nofile="2048:65536", proxy={"NO_PROXY": "10.0.0.0/8"})
"""
AWAY = """\
from pyinfra import host
from kubenode.operations import containerd

containerd.absent(**host.data.wanted)
"""


class Node:
    """A node, and what kubenode does there."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self.folder = folder

    def deploy(self, text: str, *arguments: str, **wanted: Any) -> Result:
        path = self.folder / "deploy.py"
        path.write_text(text)
        name, data = self.target.host()
        hosts = pyinfra_cli.write_inventory(
            self.folder / "inventory.py", [(name, {**data, "wanted": wanted})]
        )
        return pyinfra_cli.run(*arguments, hosts, path, cwd=self.folder)

    def prepare(self) -> Result:
        hosts = pyinfra_cli.write_inventory(self.folder / "plain.py", [self.target.host()])
        return pyinfra_cli.run("-y", hosts, ROOT / "deploy.py", cwd=self.folder)

    def away(self, *arguments: str, **wanted: Any) -> Result:
        return self.deploy(AWAY, *arguments, **wanted)

    def has(self, path: str) -> bool:
        return self.target.try_sh(f"[ -e {path} ] || [ -L {path} ]")[0] == 0


@pytest.fixture(scope="module", params=loops.choice(["trixie"], image.SUITES))
def node(
    request: pytest.FixtureRequest,
    docker_client: DockerClient,
    login_key: SshKey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Node]:
    """A node with registries, a proxy and a limit of ours, and a registry of others. Tests follow
    each other."""
    with Fleet(docker_client, login_key) as fleet:
        made = Node(fleet.start(request.param), tmp_path_factory.mktemp("node"))
        result = made.prepare()
        assert result.returncode == 0, result.output
        result = made.deploy(OURS % SECRET, "-y")
        assert result.returncode == 0, result.output
        made.target.write(THEIRS, 'server = "https://registry.example.org"\n')
        made.target.import_pause_image()
        yield made


def test_under_a_running_pod_it_stays(node: Node) -> None:
    with node.target.cri() as cri:
        pod = cri.run_pod("/kubepods-besteffort-podx.slice")
        before = node.target.sh("systemctl show -P MainPID containerd; find /etc /usr/bin | sort")
        result = node.away("-y")
        assert result.returncode != 0
        assert "1 containers run (k8s.io): drain the node first" in result.output
        after = node.target.sh("systemctl show -P MainPID containerd; find /etc /usr/bin | sort")
        assert after == before
        cri.remove_pod(pod.id)


def test_what_is_ours_goes_and_what_is_others_stays(node: Node) -> None:
    target = node.target
    config = target.read(MAIN)
    dry = node.away("--dry")
    assert dry.returncode == 0, dry.output
    assert "remove the package containerd " in dry.output
    assert f"stays: {THEIRS}, {MAIN}" in dry.output or f"{MAIN}" in dry.output
    assert node.has("/usr/bin/containerd")

    result = node.away("-y")
    assert result.returncode == 0, result.output
    for path in (
        "/usr/bin/containerd",
        "/etc/crictl.yaml",
        "/etc/apt/apt.conf.d/52kubenode-containerd.conf",
        "/etc/needrestart/conf.d/kubenode-containerd.conf",
        "/etc/containerd/proxy.env",
        "/etc/systemd/system/containerd.service",
        "/etc/systemd/system/containerd.service.d",
        "/etc/containerd/certs.d/docker.io",
        "/run/containerd/containerd.sock",
    ):
        assert not node.has(path), path
    assert target.try_sh("pidof containerd")[0] != 0
    assert "containerd" not in target.sh("apt-mark showhold")
    assert target.read(MAIN) == config
    assert node.has(THEIRS)
    assert node.has("/var/lib/containerd/io.containerd.metadata.v1.bolt")
    found = target.sh(f"grep -rlF '{SECRET}' /etc /var/lib /run 2>/dev/null; true")
    assert found == ""

    files = "find /etc /usr /var/lib -newer /tmp/before -type f | grep -v pyinfra; true"
    target.sh("touch /tmp/before")
    again = node.away("-y", "-v")
    assert "there is no containerd; stays: " in again.output
    assert "images and containers in /var/lib/containerd (data=True" in again.output
    assert target.sh(files) == ""


def test_it_comes_back_with_its_configuration_and_its_images(node: Node) -> None:
    config = node.target.read(MAIN)
    result = node.prepare()
    assert result.returncode == 0, result.output
    assert node.target.read(MAIN) == config
    assert "pause" in node.target.sh("ctr -n k8s.io images ls -q")
    with node.target.cri() as cri:
        pod = cri.run_pod("/kubepods-besteffort-podx.slice")
        assert "/kubepods-besteffort-podx.slice/" in pod.cgroup


def test_containers_are_ended_and_data_goes_when_that_is_said(node: Node) -> None:
    target = node.target
    assert target.sh("ctr -n k8s.io tasks ls -q") != ""
    target.sh("mkdir -p /var/lib/containerd && touch /var/lib/containerd/theirs")
    result = node.away("-y", data=True, end_containers=True)
    assert result.returncode == 0, result.output
    assert target.try_sh("pgrep containerd-shim")[0] != 0
    assert target.sh("ls /var/lib/containerd").split() == ["theirs"]
    assert target.sh("grep -c /run/containerd /proc/mounts; true").strip() == "0"
    again = node.away("-y", "-v", data=True)
    assert "there is no containerd" in again.output


INTERRUPTIONS = [
    # stopped and not removed; removed and nothing else; removed, files half gone
    "systemctl stop containerd",
    "apt-mark unhold containerd; apt-get -qq remove containerd",
    "apt-get -qq remove --allow-change-held-packages containerd; rm -r /etc/containerd/certs.d",
]


@pytest.mark.parametrize("interruption", loops.choice(INTERRUPTIONS[-1:], INTERRUPTIONS))
def test_one_that_was_interrupted_is_gone_on_with(node: Node, interruption: str) -> None:
    if node.target.suite != "trixie":
        pytest.skip("the steps are the same on every suite")
    assert node.prepare().returncode == 0
    assert node.deploy(OURS % SECRET, "-y").returncode == 0
    node.target.sh(f"export DEBIAN_FRONTEND=noninteractive; {interruption}")
    result = node.away("-y")
    assert result.returncode == 0, result.output
    assert not node.has("/usr/bin/containerd")
    assert not node.has("/etc/systemd/system/containerd.service.d")
    assert not node.has("/run/containerd/containerd.sock")
    assert node.target.sh(f"grep -rlF '{SECRET}' /etc 2>/dev/null; true") == ""
    assert "there is no containerd" in node.away("-y", "-v").output
