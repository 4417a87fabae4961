"""Kubernetes' packages on hosts with a real dnf 4, dnf5 or zypper: stand-ins, in real RPMs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from docker import DockerClient

from tests.end_to_end import rpm_host
from tests.end_to_end.rpm_host import Host
from tests.repositories import kubernetes_rpm
from tests.repositories.server import Server
from tests.soak import loops
from tests.targets import rpm_image
from tests.targets.pyinfra_cli import Result

pytestmark = [pytest.mark.targets, pytest.mark.soak]

CONFIG = """\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failSwapOn: false
"""
PLUGIN = "/usr/lib/python3/dist-packages/dnf-plugins/versionlock.py"
"""What dnf 4 has version locks by, and few hosts have."""
GATES = "featureGates:\n  KubeletCgroupDriverFromCRI: true\n"


@pytest.fixture(scope="module", params=loops.choice(["dnf5"], rpm_image.SUITES))
def node(
    request: pytest.FixtureRequest,
    docker_client: DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp(request.param)
    with rpm_host.started(docker_client, request.param, folder) as host:
        yield host


def deploy(host: Host, **call: Any) -> Result:
    words = ", ".join(f"{name}={value!r}" for name, value in call.items())
    path = host.folder / "kubernetes.py"
    path.write_text(f"from kubenode.operations import kubernetes\nkubernetes.installed({words})\n")
    return host.run(path, "-y", "-v")


def installed(host: Host) -> dict[str, str]:
    names = "kubelet kubeadm kubectl cri-tools kubernetes-cni"
    shown = host.target.sh(
        f"for name in {names}; do rpm -q --qf '%{{NAME}} %{{VERSION}}\\n' $name; done"
    )
    return dict(line.split(" ", 1) for line in shown.splitlines())


def test_a_release_is_installed_held_and_taken_on_and_an_unhealthy_one_is_undone(
    package_server: Server, node: Host
) -> None:
    source = kubernetes_rpm.served(package_server, node.target, ["1.36.3", "1.37.1"])
    first = deploy(node, version="1.36", source=source)
    assert first.returncode == 0, first.output
    there = {"kubelet": "1.36.3", "kubeadm": "1.36.3", "kubectl": "1.36.3",
             "cri-tools": "1.36.0", "kubernetes-cni": "1.6.0"}  # fmt: skip
    assert installed(node) == there
    assert node.target.sh("systemctl is-enabled kubelet").strip() == "enabled"
    second = deploy(node, version="1.36", source=source)
    assert second.returncode == 0, second.output
    assert "kubelet 1.36.3" in second.output
    assert "installed and held" in second.output

    install = "dnf -y install" if node.is_dnf else "zypper -n install"
    node.target.sh(f"{install} containerd >/dev/null; systemctl start containerd")
    node.target.write("/etc/kubernetes/kubelet.conf", "clusters: []\n")
    node.target.write("/var/lib/kubelet/config.yaml", CONFIG + GATES)
    node.target.sh("systemctl restart kubelet")
    # the next release has a repository of its own, and what is there is in no cache
    node.target.sh("find /var/cache -name 'kube*.rpm' -delete")
    undone = deploy(node, version="1.37", source=source)
    assert undone.returncode == 1
    said = " ".join(undone.output.split())
    assert "the new kubelet did not come up; the old program is back, and serves again" in said
    assert "unrecognized feature gate: KubeletCgroupDriverFromCRI" in said
    assert installed(node) == there

    node.target.write("/var/lib/kubelet/config.yaml", CONFIG)
    node.target.sh("systemctl restart kubelet")
    if node.kind == "dnf4":
        node.target.sh(f"mv {PLUGIN} /root/")
    result = deploy(node, version="1.37", source=source)
    assert result.returncode == 0, result.output
    assert installed(node)["kubelet"] == "1.37.1"
    answer = node.target.sh("kubectl --server=http://127.0.0.1:10248 get --raw /healthz")
    assert answer == "ok"
    assert 'kubeletVersion="v1.37.1"' in node.target.sh("journalctl -u kubelet -o cat")
    if node.kind == "dnf4":
        [excluded] = re.findall("^excludepkgs=(.*)$", node.target.read("/etc/dnf/dnf.conf"), re.M)
        assert set(there) <= set(re.split("[, ]+", excluded))
    again = deploy(node, version="1.37", source=source)
    assert "installed and held" in again.output, again.output
