"""kubelet and kubeadm themselves, on a node that one deploy has prepared.

They are in no registry that CI reaches: this runs where ``KUBENODE_TEST_KUBERNETES`` names a folder
with ``VERSION/kubelet`` and ``VERSION/kubeadm``, and with the stand-ins nowhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import DockerClient

from tests.conftest import ROOT
from tests.repositories import kubernetes
from tests.repositories.kubernetes import REAL, KubernetesMirror
from tests.repositories.server import Server
from tests.targets import pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

_FOLDER = Path(os.environ.get(REAL) or "/nonexistent")
RELEASES = sorted(path.parent.name for path in _FOLDER.glob("*/kubeadm"))

pytestmark = [
    pytest.mark.targets,
    pytest.mark.skipif(not RELEASES, reason=f"{REAL} names no kubelet and kubeadm"),
]

OF_THE_CONTAINER = {
    "SystemVerification": "a container has no kernel configuration, and this machine's cgroups",
    "Mem": "the machine's",
    "NumCPU": "the machine's",
    "ImagePull": "there is no registry",
}
"""What kubeadm says of a container, and not of what kubenode does there: why."""


@pytest.fixture(scope="module")
def node(
    docker_client: DockerClient,
    login_key: SshKey,
    package_server: Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Target]:
    """A host after one deploy."""
    release = RELEASES[-1]
    mirror = KubernetesMirror(package_server, [release], folder="real")
    folder = tmp_path_factory.mktemp("real")
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start("trixie")
        name, data = target.host()
        settings = {
            "kubenode_kubernetes_version": release,
            "kubenode_kubernetes_source": mirror.source(),
            # of Debian: what is newer than that is of another test
            "kubenode_containerd_version": "1.7",
            "kubenode_kubelet": {"containerLogMaxSize": "50Mi"},
            "kubenode_shutdown_grace_period": "60s",
        }
        inventory = pyinfra_cli.write_inventory(
            folder / "inventory.py", [(name, {**data, **settings})]
        )
        result = pyinfra_cli.run("-y", inventory, ROOT / "deploy.py", cwd=folder)
        assert result.returncode == 0, result.output
        yield target


def test_the_programs_are_no_stand_ins(node: Target) -> None:
    assert kubernetes.program("kubelet", RELEASES[-1]) == _FOLDER / RELEASES[-1] / "kubelet"
    assert node.sh("head -c 4 /usr/bin/kubelet") == "\x7fELF"


def test_kubeadms_preflight_finds_nothing_that_is_ours(node: Target) -> None:
    command = (
        f"kubeadm init phase preflight --kubernetes-version v{RELEASES[-1]} "
        "--ignore-preflight-errors=all 2>&1"
    )
    code, said, _ = node.try_sh(f"timeout 240 {command}")
    found = set(re.findall(r"\[(?:WARNING|ERROR) ([^]]+)\]", said))
    # containerd 1.7 does not tell its cgroup driver
    assert found - OF_THE_CONTAINER.keys() <= {"ContainerRuntimeVersion"}, said
    assert code in (0, 124), said
    # control: it looks, and says what is wrong
    node.sh("sysctl -qw net.ipv4.ip_forward=0")
    _, said, _ = node.try_sh(f"timeout 60 {command}")
    node.sh("sysctl -qw net.ipv4.ip_forward=1")
    assert "FileContent--proc-sys-net-ipv4-ip_forward" in said


def test_the_patch_is_what_kubeadm_takes(node: Target) -> None:
    """kubelet's configuration with the patch of the deploy, as kubeadm itself makes it."""
    text = node.sh(
        "kubeadm config print init-defaults --component-configs KubeletConfiguration "
        ">/root/init.yaml 2>/root/why; sed -i "
        f"'s/^kubernetesVersion: .*/kubernetesVersion: {RELEASES[-1]}/; "
        "s/advertiseAddress: .*/advertiseAddress: 127.0.0.1/; /^  name: node/d' /root/init.yaml; "
        "timeout 60 kubeadm init phase kubelet-start --patches /etc/kubernetes/patches "
        "--config /root/init.yaml >/root/said 2>&1; cat /var/lib/kubelet/config.yaml /root/said"
    )
    assert "cgroupDriver: systemd\n" in text
    assert "containerLogMaxSize: 50Mi\n" in text
    assert "shutdownGracePeriod: 1m0s\n" in text or "shutdownGracePeriod: 60s\n" in text
