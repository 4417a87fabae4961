"""The audit on broken nodes with Docker Engine: each break gives its one finding."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker import DockerClient

from tests.end_to_end import docker_hosts
from tests.end_to_end.docker_hosts import CONFIG
from tests.end_to_end.test_prepare import DEPLOY
from tests.targets import kubenode_cli, pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

DROP_IN = "/etc/systemd/system/cri-docker.service.d/kubenode.conf"
# a unit that is started too often is not started again (StartLimitBurst=), and tests are quick
_RESTART = "systemctl reset-failed docker cri-docker; systemctl restart docker cri-docker"
_RESTART_CRI = "systemctl reset-failed cri-docker; systemctl restart cri-docker"
_SAVE = f"cp -p {CONFIG} /root/saved"
_BACK = f"cp -p /root/saved {CONFIG}; {_RESTART}"
# what has the system's clock at the time of the start is not newer than it
_LATER = "sleep 0.1"


@dataclass(frozen=True)
class Break:
    """One break of a node with Docker Engine."""

    name: str
    script: str
    finding: str
    """The check that finds it, and the only one."""
    evidence: str
    undo: str
    options: tuple[str, ...] = ()


def _says(text: str) -> str:
    return f"{_SAVE}; {_LATER}; printf '%s\\n' '{text}' >{CONFIG}"


_GOOD = '"exec-opts": ["native.cgroupdriver=systemd"], "live-restore": true'

BREAKS = (
    Break("unknown key", _says(f'{{{_GOOD}, "no-such": 1}}'), "docker.keys", "no-such", _BACK),
    Break(
        "a key that is a flag too",
        _says(f'{{{_GOOD}, "hosts": ["fd://"]}}'),
        "docker.keys",
        "hosts: in /etc/docker/daemon.json, and a flag of docker.service",
        _BACK,
    ),
    Break(
        "a key twice",
        _says(f'{{{_GOOD}, "debug": true, "debug": false}}'),
        "runtime.config-readable",
        "stands there twice",
        _BACK,
    ),
    Break(
        "edited, and not restarted",
        _says(f'{{{_GOOD}, "debug": true}}'),
        "runtime.config-applied",
        CONFIG,
        _BACK,
    ),
    Break(
        "another driver than the stated one, with a pid file of now",
        f"{_says(_GOOD.join('{}'))}; sed -i s/systemd/cgroupfs/ {CONFIG}; {_RESTART}; "
        f"sed -i s/cgroupfs/systemd/ {CONFIG}; {_LATER}; touch /run/docker.pid",
        "docker.driver-in-force",
        "it runs with cgroupfs, and systemd is stated",
        _BACK,
    ),
    Break(
        "no live-restore",
        f"{_SAVE}; sed -i 's/: true/: false/' {CONFIG}; {_RESTART}",
        "docker.live-restore",
        "live-restore is off",
        _BACK,
    ),
    Break(
        "cri-dockerd does not start at boot",
        "systemctl -q disable cri-docker.service",
        "docker.enabled",
        "cri-docker.service is disabled",
        "systemctl -q enable cri-docker.service",
    ),
    Break(
        "Docker Engine does not start at boot",
        "systemctl -q disable docker.service",
        "runtime.enabled",
        "docker.service is disabled",
        "systemctl -q enable docker.service",
    ),
    Break(
        "cri-dockerd is stopped",
        "systemctl stop cri-docker.service cri-docker.socket",
        "runtime.cri-serving",
        "nothing answers on /run/cri-dockerd.sock",
        "systemctl start cri-docker.socket cri-docker.service",
    ),
    Break(
        "Docker Engine was restarted alone",
        "systemctl restart docker.service",
        "docker.cri-dockerd-restarted",
        "cri-dockerd began before Docker Engine did",
        _RESTART_CRI,
    ),
    Break(
        "not held", "apt-mark -q unhold docker.io", "runtime.held", "docker.io",
        "apt-mark -q hold docker.io",
    ),
    Break(
        "crictl points elsewhere",
        "cp /etc/crictl.yaml /root/crictl; "
        "echo 'runtime-endpoint: unix:///run/other.sock' >/etc/crictl.yaml",
        "crictl.config",
        "unix:///run/cri-dockerd.sock",
        "cp /root/crictl /etc/crictl.yaml",
    ),
    Break(
        "a file of a package waits",
        f"touch {CONFIG}.dpkg-dist",
        "runtime.config-merged",
        f"{CONFIG}.dpkg-dist",
        f"rm {CONFIG}.dpkg-dist",
    ),
    Break(
        "a pause image of a dead registry",
        f"cp {DROP_IN} /root/kept; sed -i '$s,$, --pod-infra-container-image=k8s.gcr.io/pause:3,'"
        f" {DROP_IN}; systemctl daemon-reload; {_RESTART_CRI}",
        "runtime.pause-image",
        "k8s.gcr.io/pause:3",
        f"cp /root/kept {DROP_IN}; systemctl daemon-reload; {_RESTART_CRI}",
    ),
    Break(
        "no cri-dockerd any more",
        "mv /usr/local/bin/cri-dockerd /root/link",
        "docker.cri-dockerd",
        "there is no cri-dockerd",
        "mv /root/link /usr/local/bin/cri-dockerd",
    ),
)  # fmt: skip


class Node:
    """A node with Docker Engine, and what its audit says while it is whole."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        host = docker_hosts.host(target, folder)
        self.inventory = pyinfra_cli.write_inventory(folder / "inventory.py", [host])
        self.deploy()
        self.whole = kubenode_cli.audit(self.inventory).findings()

    def deploy(self) -> str:
        result = pyinfra_cli.run("-y", self.inventory, DEPLOY, cwd=self.inventory.parent)
        assert result.returncode == 0, result.output
        return result.output

    def news(self, *options: str) -> dict[str, str]:
        found = kubenode_cli.audit(self.inventory, *options).findings()
        return {
            check: json.dumps(finding)
            for check, finding in found.items()
            if self.whole.get(check, {}).get("found") != finding["found"]
        }


@pytest.fixture(scope="module")
def node(
    docker_client: DockerClient, login_key: SshKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    with Fleet(docker_client, login_key) as fleet:
        target = docker_hosts.start(fleet)
        docker_hosts.ready(target)
        yield Node(target, tmp_path_factory.mktemp("node"))


def test_a_whole_node_has_no_finding_of_its_runtime(node: Node) -> None:
    # a target has findings of its own: an audit that says nothing is none
    assert "cgroup.controllers" in node.whole
    topics = ("runtime.", "docker.", "crictl.", "cgroup-driver.")
    found = {check: said["found"] for check, said in node.whole.items() if check.startswith(topics)}
    # Debian's plugins are not installed, and there is no network
    assert set(found) <= {"runtime.cni-plugins"}, found


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.name)
def test_a_break_gives_its_one_finding(node: Node, broken: Break) -> None:
    try:
        node.target.sh(broken.script)
        news = node.news(*broken.options)
        assert list(news) == [broken.finding], "\n".join(news.values())
        assert broken.evidence in news[broken.finding]
    finally:
        node.target.sh(broken.undo)
    # control: it was the break
    assert broken.finding not in node.news()


def test_a_deploy_mends_what_it_can(node: Node) -> None:
    node.target.sh(
        "systemctl -q disable cri-docker.service docker.service; systemctl stop cri-docker.service;"
        f"apt-mark -q unhold docker.io; rm /etc/crictl.yaml; sed -i s/systemd/cgroupfs/ {CONFIG}"
    )
    assert len(node.news()) > 3
    node.deploy()
    assert not node.news()


def test_releases_that_do_not_fit_are_a_finding(node: Node) -> None:
    found = kubenode_cli.audit(node.inventory, "--for", "1.36").findings()
    assert "kubectl exec and attach fail" in found["docker.cri-dockerd-fits"]["found"]
