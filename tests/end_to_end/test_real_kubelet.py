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
    "ContainerRuntimeVersion": "Debian's containerd 1.7 does not tell its cgroup driver",
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


def kubeadm_configuration(node: Target) -> str:
    """The path of one for kubeadm, which would ask the network for the newest release."""
    path = "/root/kubeadm.yaml"
    node.write(
        path,
        # with --config it takes no --patches
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n"
        "patches:\n  directory: /etc/kubernetes/patches\n---\n"
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"
        f"kubernetesVersion: v{RELEASES[-1]}\n",
    )
    return path


def test_kubeadms_preflight_finds_nothing_that_is_ours(node: Target) -> None:
    command = (
        f"timeout 240 kubeadm init phase preflight --config {kubeadm_configuration(node)} "
        "--ignore-preflight-errors=all 2>&1"
    )
    code, said, _ = node.try_sh(command)
    found = set(re.findall(r"\[(?:WARNING|ERROR) ([^]]+)\]", said))
    assert found - OF_THE_CONTAINER.keys() == set(), said
    assert code == 0, said
    # control: it looks, and says what is wrong
    node.sh("sysctl -qw net.ipv4.ip_forward=0")
    _, said, _ = node.try_sh(command)
    node.sh("sysctl -qw net.ipv4.ip_forward=1")
    assert "FileContent--proc-sys-net-ipv4-ip_forward" in said


def test_kubeadm_makes_kubelets_file_with_the_patch_of_the_deploy(node: Target) -> None:
    said = node.try_sh(
        f"timeout 60 kubeadm init phase kubelet-start --config {kubeadm_configuration(node)} 2>&1"
    )
    text = node.sh("cat /var/lib/kubelet/config.yaml")
    assert "cgroupDriver: systemd\n" in text, said
    assert "containerLogMaxSize: 50Mi\n" in text
    assert re.search("^shutdownGracePeriod: (1m0s|60s)$", text, re.MULTILINE)


def test_kubelet_holds_a_shutdown_back_which_waits_as_long_as_it_asks_for(node: Target) -> None:
    """By itself, without a cluster; a container has no /dev/kmsg and no cgroup controllers."""
    node.sh("systemctl stop kubelet; [ -e /dev/kmsg ] || ln -s /dev/null /dev/kmsg")
    node.write(
        "/root/kubelet.yaml",
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
        "cgroupDriver: systemd\nfailSwapOn: false\ncgroupsPerQOS: false\n"
        "enforceNodeAllocatable: []\nshutdownGracePeriod: 60s\n"
        "shutdownGracePeriodCriticalPods: 20s\n"
        "authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}\n"
        "authorization: {mode: AlwaysAllow}\n"
        "containerRuntimeEndpoint: unix:///run/containerd/containerd.sock\n",
    )
    node.sh(
        "systemd-run --unit=real-kubelet kubelet --config=/root/kubelet.yaml --hostname-override=n"
    )
    script = "until systemd-inhibit --list | grep -q kubelet; do sleep 1; done"
    code, _, _ = node.try_sh(f"timeout 60 sh -c '{script}'")
    log = node.sh("journalctl -u real-kubelet -o cat; systemctl stop real-kubelet")
    assert code == 0, log
    # it writes this where logind's delay is too short
    assert node.sh("ls /etc/systemd/logind.conf.d").split() == ["zz-kubenode.conf"]
    assert "unable to update logind InhibitDelayMaxSec" not in log
