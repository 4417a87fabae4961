"""Kubernetes' packages on real hosts, from a repository like Kubernetes' own: its programs are
stand-ins, see :mod:`tests.repositories.kubernetes`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.end_to_end.test_package_repositories import nothing_changed
from tests.repositories import keys
from tests.repositories.kubernetes import KubernetesMirror
from tests.repositories.server import Server
from tests.soak import loops
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.pyinfra_cli import Result
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

SOURCES = "/etc/apt/sources.list.d/kubernetes.sources"
FLAGS_ENV = "/var/lib/kubelet/kubeadm-flags.env"
PACKAGES = ("cri-tools", "kubeadm", "kubectl", "kubelet", "kubernetes-cni")
CONFIG = """\
# of the cluster
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
failSwapOn: false
"""
Deploy = Callable[..., Result]


@pytest.fixture(scope="module")
def mirror(package_server: Server) -> KubernetesMirror:
    return KubernetesMirror(package_server, ["1.35.6", "1.36.3", "1.37.0", "1.37.1"])


@pytest.fixture(scope="module")
def node(docker_client: DockerClient, login_key: SshKey) -> Iterator[Target]:
    """A host with what kubelet needs of Debian: its packages are not fetched again and again."""
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start("trixie")
        target.sh(
            "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "
            "--no-install-recommends iptables containerd >/dev/null; "
            # Debian's lists take longer to fetch than all the rest
            "mv /etc/apt/sources.list* /root/"
        )
        target.sh("mkdir -p /etc/apt/sources.list.d")
        yield target


@pytest.fixture
def fresh(node: Target) -> Iterator[Target]:
    """The node without what a test has put there."""
    yield node
    node.sh(
        f"names='{' '.join(PACKAGES)}'; systemctl stop kubelet 2>/dev/null; "
        "{ apt-mark unhold $names; apt-get -qq purge -y $names; } >/dev/null 2>&1; "
        f"rm -rf {SOURCES}* /etc/apt/keyrings/kubernetes* /etc/apt/sources.list.d/*.list* "
        "/etc/kubernetes /var/lib/kubelet /etc/default/kubelet* /var/lib/apt/lists/172* "
        "/etc/systemd/system/kubelet* /run/kubenode-repositories; systemctl daemon-reload"
    )


@pytest.fixture
def deploy(
    tmp_path: Path, run_pyinfra: RunPyinfra, inventory: WriteInventory, node: Target
) -> Deploy:
    """Runs ``kubernetes.installed`` on the node."""

    def run(*arguments: str, **call: Any) -> Result:
        words = ", ".join(f"{name}={value!r}" for name, value in call.items())
        path = tmp_path / "deploy.py"
        path.write_text(
            f"from kubenode.operations import kubernetes\nkubernetes.installed({words})\n"
        )
        return run_pyinfra(*(arguments or ("-y", "-v")), inventory(node.host()), path)

    return run


def installed(target: Target) -> dict[str, str]:
    """Version by name of Kubernetes' packages, with dpkg's state before it: ``hi 1.36.3-1.1``."""
    shown = target.sh(
        "dpkg-query -W -f '${Package} ${db:Status-Abbrev} ${Version}\\n' "
        f"{' '.join(PACKAGES)} 2>/dev/null; :"
    )
    found = (line.split() for line in shown.splitlines())
    return {name: f"{state} {rest[0]}" for name, state, *rest in found if rest and state[1] == "i"}


def state(target: Target) -> str:
    """All that apt, dpkg, systemd and kubelet have of their own, and /etc."""
    return target.sh(
        "find /etc /var/lib/dpkg /var/lib/apt /var/lib/kubelet /usr/bin /opt -type f "
        "! -name 'lock*' -exec sha256sum {} + 2>/dev/null | sort -k 2; "
        "systemctl show kubelet -p MainPID -p UnitFileState"
    )


def joined(target: Target, server: str = "http://127.0.0.1:9") -> None:
    """Make the host what kubeadm leaves behind, and kubelet run."""
    target.write("/etc/kubernetes/kubelet.conf", f"clusters:\n- cluster:\n    server: {server}\n")
    target.write("/var/lib/kubelet/config.yaml", CONFIG)
    target.sh("systemctl restart kubelet")
    assert target.sh("systemctl is-active kubelet") == "active\n"


def main_process(target: Target) -> str:
    return target.sh("systemctl show kubelet -p MainPID --value").strip()


def test_the_stand_in_fails_in_kubelets_words(mirror: KubernetesMirror, fresh: Target) -> None:
    """By apt alone, as Kubernetes' documentation has it."""
    fresh.write("/etc/apt/keyrings/kubernetes-apt-keyring.asc", mirror.key.public)
    url = mirror.url.format(version="v1.36", format="deb")
    fresh.write(
        "/etc/apt/sources.list.d/kubernetes.list",
        f"deb [signed-by=/etc/apt/keyrings/kubernetes-apt-keyring.asc] {url}/ /\n",
    )
    fresh.sh("apt-get -qq update && apt-get -qq install -y kubelet kubeadm kubectl >/dev/null")
    # kubeadm brings neither kubelet nor crictl since 1.32
    assert set(installed(fresh)) == set(PACKAGES) - {"cri-tools"}
    assert fresh.sh("kubelet --version") == "Kubernetes v1.36.3\n"
    assert "unknown flag: --container-runtime" in fresh.try_sh("kubelet --container-runtime=x")[2]
    assert "no such file" in fresh.try_sh("kubelet --config=/var/lib/kubelet/config.yaml")[2]
    fresh.sh("systemctl start containerd")
    joined(fresh)
    answer = fresh.sh("kubectl --server=http://127.0.0.1:10248 get --raw /healthz")
    assert answer == "ok"


def test_a_release_is_installed_held_and_enabled_and_the_second_run_does_nothing(
    mirror: KubernetesMirror, fresh: Target, deploy: Deploy
) -> None:
    before = state(fresh)
    dry = deploy("--dry", "--diff", version="1.36", source=mirror.source())
    assert dry.returncode == 0, dry.output
    assert f"create {SOURCES}" in dry.output
    assert state(fresh) == before

    first = deploy(version="1.36", source=mirror.source())
    assert first.returncode == 0, first.output
    assert installed(fresh) == {
        "kubelet": "hi 1.36.3-1.1",
        "kubeadm": "hi 1.36.3-1.1",
        "kubectl": "hi 1.36.3-1.1",
        "cri-tools": "hi 1.36.0-1.1",
        "kubernetes-cni": "hi 1.6.0-1.1",
    }
    assert fresh.sh("systemctl is-enabled kubelet").strip() == "enabled"
    assert "apt-key" not in fresh.sh("apt-get update 2>&1")
    second = deploy(version="1.36", source=mirror.source())
    assert nothing_changed(second), second.output
    assert "kubelet 1.36.3-1.1" in second.output
    # what is held stays, also where there is a newer one
    fresh.sh("apt-get -qq dist-upgrade -y >/dev/null")
    assert installed(fresh)["kubelet"] == "hi 1.36.3-1.1"


def test_a_node_goes_one_minor_release_on_its_kubelet_is_restarted_and_healthy(
    mirror: KubernetesMirror, fresh: Target, deploy: Deploy
) -> None:
    assert deploy(version="1.36", source=mirror.source()).returncode == 0
    fresh.sh("systemctl start containerd")
    joined(fresh)
    before = main_process(fresh)
    dry = deploy("--dry", "--diff", version="1.37", source=mirror.source())
    assert "- URIs: " in dry.output
    assert "/v1.36/deb" in dry.output
    assert "kubelet 1.36.3 is taken to 1.37: the node should have been drained" in dry.output
    assert main_process(fresh) == before

    result = deploy(version="1.37", source=mirror.source())
    assert result.returncode == 0, result.output
    assert installed(fresh) == {
        "kubelet": "hi 1.37.1-1.1",
        "kubeadm": "hi 1.37.1-1.1",
        "kubectl": "hi 1.37.1-1.1",
        "cri-tools": "hi 1.37.0-1.1",
        "kubernetes-cni": "hi 1.7.0-1.1",
    }
    assert main_process(fresh) not in ("0", before)
    log = fresh.sh("journalctl -u kubelet -o cat")
    assert 'kubeletVersion="v1.37.1"' in log
    assert "v1.36" not in fresh.read(SOURCES)
    assert nothing_changed(deploy(version="1.37", source=mirror.source()))
    # a release of the series by name, which is older: a node is not taken back
    back = deploy(version="1.36", source=mirror.source())
    assert back.returncode == 1
    assert "a node is not taken back to 1.36" in back.output
    assert installed(fresh)["kubelet"] == "hi 1.37.1-1.1"


def test_no_minor_release_is_skipped_on_a_node_and_any_goes_on_another_host(
    mirror: KubernetesMirror, fresh: Target, deploy: Deploy
) -> None:
    assert deploy(version="1.35", source=mirror.source()).returncode == 0
    fresh.sh("systemctl start containerd")
    joined(fresh)
    before = state(fresh)
    skipped = deploy(version="1.37", source=mirror.source())
    assert skipped.returncode == 1
    assert "no minor release is skipped: 1.36 comes before 1.37: nothing was" in skipped.output
    assert state(fresh) == before
    # control: without a cluster there is nothing to skip
    fresh.sh("systemctl stop kubelet; rm -r /etc/kubernetes")
    result = deploy(version="1.37.0", source=mirror.source())
    assert result.returncode == 0, result.output
    assert installed(fresh)["kubelet"] == "hi 1.37.0-1.1"


def test_kubelet_is_never_newer_than_the_api_server(
    mirror: KubernetesMirror, fresh: Target, deploy: Deploy
) -> None:
    """As the API server says it to the node's own kubeconfig, and as a control plane has it."""
    assert deploy(version="1.36", source=mirror.source()).returncode == 0
    fresh.sh("systemctl start containerd")
    (mirror.server.folder / "version").write_text(json.dumps({"gitVersion": "v1.36.2"}))
    joined(fresh, mirror.server.http)
    refused = deploy(version="1.37", source=mirror.source())
    assert refused.returncode == 1
    assert "the API server is 1.36.2 (it says so itself), and kubelet is never newer" in " ".join(
        refused.output.split()
    )
    manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml"
    (mirror.server.folder / "version").unlink()
    fresh.write(
        manifest, "spec:\n  containers:\n  - image: mirror.example.org/kube-apiserver:v1.36.3\n"
    )
    refused = deploy(version="1.37", source=mirror.source())
    assert f"the API server is 1.36.3 (image in {manifest})" in " ".join(refused.output.split())
    assert installed(fresh)["kubelet"] == "hi 1.36.3-1.1"
    # a control plane gets kubeadm first, which then upgrades the API server
    first = deploy(version="1.37", source=mirror.source(), packages=["kubeadm"])
    assert first.returncode == 0, first.output
    assert installed(fresh)["kubeadm"] == "hi 1.37.1-1.1"
    assert installed(fresh)["kubelet"] == "hi 1.36.3-1.1"
    fresh.write(manifest, fresh.read(manifest).replace("v1.36.3", "v1.37.1"))
    result = deploy(version="1.37", source=mirror.source())
    assert result.returncode == 0, result.output
    assert installed(fresh)["kubelet"] == "hi 1.37.1-1.1"


def test_flags_that_are_gone_are_found_before_and_named_with_their_file(
    mirror: KubernetesMirror, fresh: Target, deploy: Deploy
) -> None:
    assert deploy(version="1.36", source=mirror.source()).returncode == 0
    wrong = {
        FLAGS_ENV: ["--pod-infra-container-image=mirror.example.org/pause:3.9",
                    "--container-runtime=remote", "--network-plugin=cni"],
        "/etc/default/kubelet": ["--cni-bin-dir /opt/cni/bin", "--keep-terminated-pod-volumes",
                                 "--iptables_masquerade_bit=14", "--cloud-provider=aws",
                                 "--cgroup-drivr=systemd"],
        "kubelet.service": ["--register-schedulable=false", "--logtostderr=true",
                            "--cadvisor-port=0", "--allow-privileged", "--cloud-config=/etc/cloud"],
    }  # fmt: skip
    fresh.write(FLAGS_ENV, f'KUBELET_KUBEADM_ARGS="{" ".join(wrong[FLAGS_ENV])}"\n')
    args = " ".join(wrong["/etc/default/kubelet"])
    fresh.write("/etc/default/kubelet", f"KUBELET_EXTRA_ARGS={args}\n")
    fresh.write(
        "/etc/systemd/system/kubelet.service.d/20-own.conf",
        f"[Service]\nEnvironment='KUBELET_KUBECONFIG_ARGS={' '.join(wrong['kubelet.service'])}'\n",
    )
    fresh.sh("systemctl daemon-reload")
    before = state(fresh)
    result = deploy(version="1.37", source=mirror.source())
    assert result.returncode == 1
    said = " ".join(result.output.split())
    for source, flags in wrong.items():
        for flag in flags:
            name = flag.split("=")[0].split()[0].replace("_", "-")
            assert f"{source}: {name} " in said, f"{source} {name}: {said}"
    assert "did you mean --cgroup-driver?" in said
    assert "nothing was changed" in said
    assert state(fresh) == before
    # control: the kubelet itself does not take a single one of them
    fresh.sh("systemctl start containerd")
    for flags in wrong.values():
        for flag in flags:
            if "cloud-provider" not in flag:
                # 1.35 is the first without the pause image
                assert "unknown flag" in fresh.try_sh(f"kubelet {flag} --version")[2]


def test_documentations_file_gives_way_and_a_mixed_one_keeps_its_other_lines(
    mirror: KubernetesMirror, fresh: Target, deploy: Deploy
) -> None:
    old = mirror.url.format(version="v1.35", format="deb")
    same = mirror.url.format(version="v1.36", format="deb")
    listed, mixed = (f"/etc/apt/sources.list.d/{name}.list" for name in ("kubernetes", "own"))
    fresh.write("/etc/apt/keyrings/kubernetes-apt-keyring.asc", mirror.key.public)
    signed = "[signed-by=/etc/apt/keyrings/kubernetes-apt-keyring.asc]"
    # another key of the same repository: apt would refuse all sources
    fresh.write(listed, f"# as documented\ndeb {signed} {same}/ /\n")
    other = "deb [trusted=yes] http://127.0.0.1:9/own ./\n"
    fresh.write(mixed, f"# two\ndeb {signed} {old}/ /\n#{other}")
    result = deploy(version="1.36", source=mirror.source())
    assert result.returncode == 0, result.output
    assert f"{listed}:2 has Kubernetes' packages too, and gives way" in result.output
    assert fresh.sh(f"ls {listed} {mixed} 2>&1; :").count("No such file") == 2
    assert fresh.read(f"{listed}.kubenode-backup").endswith(f"{same}/ /\n")
    assert installed(fresh)["kubelet"] == "hi 1.36.3-1.1"


def test_another_key_or_no_such_release_changes_nothing(
    mirror: KubernetesMirror, fresh: Target, deploy: Deploy
) -> None:
    before = state(fresh)
    stranger = keys.generated()
    not_pinned = deploy(version="1.36", source=mirror.source(key=stranger.public))
    assert not_pinned.returncode == 1
    assert "is pinned" in not_pinned.output
    not_signed = deploy(
        version="1.36",
        source=mirror.source(key=stranger.public, fingerprint=stranger.fingerprint),
    )
    assert not_signed.returncode == 1
    assert "is not signed by the pinned key" in not_signed.output
    assert state(fresh) == before
    nowhere = deploy(version="1.99", source=mirror.source())
    assert nowhere.returncode == 1
    assert "does not have a Release file" in nowhere.output
    assert state(fresh) == before
    no_patch = deploy(version="1.36.9", source=mirror.source())
    assert no_patch.returncode == 1
    assert "has no 1.36.9: it has 1.36.3-1.1" in " ".join(no_patch.output.split())
    assert installed(fresh) == {}


def test_an_upgrade_whose_kubelet_is_not_healthy_is_undone(
    mirror: KubernetesMirror, fresh: Target, deploy: Deploy
) -> None:
    """What no table can know: a feature gate that the new release does not have any more."""
    assert deploy(version="1.36", source=mirror.source()).returncode == 0
    fresh.sh("systemctl start containerd")
    joined(fresh)
    gates = "featureGates:\n  KubeletCgroupDriverFromCRI: true\n"
    fresh.write("/var/lib/kubelet/config.yaml", CONFIG + gates)
    fresh.sh("systemctl restart kubelet")
    before, packages = main_process(fresh), installed(fresh)
    result = deploy(version="1.37", source=mirror.source())
    assert result.returncode == 1
    said = " ".join(result.output.split())
    assert "restart kubelet, which has to be healthy then (/healthz), or these packages" in said
    assert "the new kubelet did not come up; the old program is back, and serves again" in said
    assert "unrecognized feature gate: KubeletCgroupDriverFromCRI" in said
    assert installed(fresh) == packages
    assert packages["kubelet"] == "hi 1.36.3-1.1"
    assert main_process(fresh) not in ("0", before)
    assert fresh.sh("kubectl --server=http://127.0.0.1:10248 get --raw /healthz") == "ok"
    assert fresh.read("/var/lib/kubelet/config.yaml") == CONFIG + gates
    assert fresh.sh("ls /var/lib/kubenode/change 2>&1; :").count("No such file") == 1
    # control: without the gate the same upgrade stays
    fresh.write("/var/lib/kubelet/config.yaml", CONFIG)
    fresh.sh("systemctl restart kubelet")
    result = deploy(version="1.37", source=mirror.source())
    assert result.returncode == 0, result.output
    assert installed(fresh)["kubelet"] == "hi 1.37.1-1.1"


@pytest.mark.skipif(not loops.is_soak(), reason="it waits for health three times: make soak")
@pytest.mark.soak
def test_where_the_old_kubelet_does_not_start_either_that_is_said(
    mirror: KubernetesMirror, fresh: Target, deploy: Deploy
) -> None:
    """Its file was broken after it had started; the next run begins with what is left to do."""
    assert deploy(version="1.36", source=mirror.source()).returncode == 0
    fresh.sh("systemctl start containerd")
    joined(fresh)
    fresh.write("/var/lib/kubelet/config.yaml", CONFIG + "memorySwap:\n  swapBehavior: Unlimited\n")
    result = deploy(version="1.37", source=mirror.source())
    assert result.returncode == 1
    said = " ".join(result.output.split())
    assert "the old program is back; it does not come up" in said
    assert "memorySwap.swapBehavior" in said
    assert installed(fresh)["kubelet"].endswith("1.36.3-1.1")
    fresh.write("/var/lib/kubelet/config.yaml", CONFIG)
    again = deploy(version="1.37", source=mirror.source())
    assert again.returncode == 0, again.output
    assert "a change was interrupted" in again.output
    assert installed(fresh)["kubelet"] == "hi 1.37.1-1.1"


def test_prepare_makes_a_fresh_host_ready_for_kubeadm(
    mirror: KubernetesMirror, targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    """One deploy: containerd, what kubelet uses, and Kubernetes' packages."""
    target = targets.start("trixie")
    name, data = target.host()
    hosts = inventory((name, {**data, "kubenode_kubernetes_version": "1.36",
                              "kubenode_containerd_version": "1.7",
                              "kubenode_kubernetes_source": mirror.source()}))  # fmt: skip
    first = run_pyinfra("-y", hosts, ROOT / "deploy.py")
    assert first.returncode == 0, first.output
    second = run_pyinfra("-y", "-v", hosts, ROOT / "deploy.py")
    assert second.returncode == 0, second.output
    assert "kubelet 1.36.3-1.1" in second.output
    assert second.output.count("No changes") == 9, second.output
    assert target.sh("systemctl is-enabled kubelet containerd").split() == ["enabled", "enabled"]
    assert installed(target)["kubelet"] == "hi 1.36.3-1.1"
