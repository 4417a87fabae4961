"""The runtime of a node is changed, in both directions, and kubelet follows.

cri-dockerd, CRI-O and kubelet are stand-ins, or the real programs where the variables of
:mod:`tests.repositories` name them. kubelet's stand-in ends where nobody listens at its endpoint.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from kubenode.runtimes.other_runtimes import DISABLED
from tests.conftest import RunPyinfra, WriteInventory
from tests.end_to_end import crio_hosts, docker_hosts
from tests.end_to_end.crio_hosts import Minors
from tests.end_to_end.test_prepare import DEPLOY, changes
from tests.repositories import cri_o, kubernetes
from tests.repositories.server import Server
from tests.soak import changeovers, loops, rounds
from tests.soak.changeovers import Changeovers
from tests.soak.host import Host
from tests.soak.kill_round import Played
from tests.soak.kills import Kill
from tests.targets import kubenode_cli, pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.pyinfra_cli import Result
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

CONFIG = "/var/lib/kubelet/config.yaml"
ENV = "/var/lib/kubelet/kubeadm-flags.env"
BROKEN = "/etc/systemd/system/kubelet.service.d/99-broken.conf"
INSTANCE = "/var/lib/kubelet/instance-config.yaml"
CONTAINERD = "unix:///run/containerd/containerd.sock"
CRI_DOCKERD = "unix:///run/cri-dockerd.sock"
CRIO = "unix:///run/crio/crio.sock"
TEXT = f"""\
# of the cluster
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
containerRuntimeEndpoint: "{CONTAINERD}" # kubeadm's
failSwapOn: false
"""
REPLACE = {"kubenode_replace_runtime": True}
Deploy = Callable[..., Result]


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.fixture(scope="module")
def settings(
    package_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """What makes a host one of each runtime, by its name."""
    minors = Minors(package_server, "trixie", cri_o.NEW)
    minor = cri_o.NEW.rpartition(".")[0]
    crio = {**minors.settings(minor), "kubenode_crio_version": minor}
    source = docker_hosts.source(tmp_path_factory.mktemp("archives"))
    return {
        "containerd": {},
        "docker": {"kubenode_runtime": "docker", "kubenode_cri_dockerd_source": source},
        "crio": {**crio, "kubenode_crio_source": json.loads(crio["kubenode_crio_source"])},
    }


@pytest.fixture(scope="module")
def node(
    docker_client: DockerClient, login_key: SshKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """A node of a cluster that has containerd."""
    folder = tmp_path_factory.mktemp("node")
    with Fleet(docker_client, login_key) as fleet:
        target = docker_hosts.start(fleet)
        docker_hosts.ready(target)
        crio_hosts.ready(target)
        target.sh(
            "apt-get -qq update; "
            "apt-get -qq install -y --no-install-recommends iptables >/dev/null 2>&1"
        )
        hosts = pyinfra_cli.write_inventory(folder / "inventory.py", [target.host()])
        first = pyinfra_cli.run("-y", hosts, DEPLOY, cwd=folder)
        assert first.returncode == 0, first.output
        for deb in kubernetes.packages(folder, "1.36.3", "1.1"):
            target.put(deb, f"/root/{deb.name}")
        target.sh("dpkg -i /root/*.deb >/dev/null; mkdir -p /etc/kubernetes")
        # crictl of the packages is none
        target.sh("rm -f /usr/bin/crictl")
        target.write("/etc/kubernetes/kubelet.conf", "clusters: []\n")
        target.write(CONFIG, TEXT)
        target.write(INSTANCE, f'containerRuntimeEndpoint: "{CONTAINERD}"\n')
        target.write(ENV, 'KUBELET_KUBEADM_ARGS="--node-ip=10.0.0.1"\n')
        target.sh("systemctl enable --now kubelet")
        yield target


@pytest.fixture
def deploy(
    node: Target,
    settings: dict[str, dict[str, Any]],
    run_pyinfra: RunPyinfra,
    inventory: WriteInventory,
) -> Deploy:
    def run(runtime: str, *arguments: str, **data: Any) -> Result:
        name, own = node.host()
        hosts = inventory((name, {**own, **settings[runtime], **data}))
        return run_pyinfra(*(arguments or ("-y",)), hosts, DEPLOY)

    return run


def nothing_changed(result: Result) -> bool:
    rows = changes(result.output).values()
    return result.returncode == 0 and bool(rows) and all(row == (0, 0, 1) for row in rows)


def healthy(target: Target) -> bool:
    asked = "kubectl --server=http://127.0.0.1:10248 get --raw /healthz"
    return target.try_sh(asked)[1] == "ok"


def states(target: Target, *units: str) -> list[str]:
    """Whether units run and start at boot, ``active enabled``."""
    return [
        " ".join(
            target.try_sh(f"systemctl {verb} {unit}")[1].strip()
            for verb in ("is-active", "is-enabled")
        )
        for unit in units
    ]


def endpoints(target: Target) -> list[str]:
    """What kubelet, kubeadm and crictl are told."""
    stated = [target.read(path) for path in (CONFIG, INSTANCE, "/etc/crictl.yaml")]
    return [found for text in stated for found in re.findall(r"(?<=[ \"])unix://[^\s\"]+", text)]


def test_another_runtime_is_refused_untold_and_while_a_pod_runs(
    node: Target, deploy: Deploy
) -> None:
    before = endpoints(node)
    untold = deploy("docker")
    assert untold.returncode == 1, untold.output
    assert "drain the node and set kubenode_replace_runtime to True" in words(untold.output)
    node.import_pause_image()
    with node.cri() as cri, cri.pod("/kubepods.slice"):
        busy = deploy("docker", **REPLACE)
        assert busy.returncode == 1, busy.output
        assert (
            "1 containers run, which cri-dockerd does not take over from containerd: drain the node"
        ) in words(busy.output)
    assert node.try_sh("command -v dockerd || command -v cri-dockerd")[0] != 0
    assert endpoints(node) == before
    assert healthy(node)


def test_docker_takes_containerds_place_and_gives_it_back(node: Target, deploy: Deploy) -> None:
    dry = deploy("docker", "--dry", "--diff", **REPLACE)
    assert dry.returncode == 0, dry.output
    for sentence in (
        "kubelet's runtime: containerd -> cri-dockerd",
        f"{CONFIG}: containerRuntimeEndpoint {CONTAINERD} -> {CRI_DOCKERD}",
        f"kubeadm.alpha.kubernetes.io/cri-socket={CRI_DOCKERD}",
    ):
        assert sentence in words(dry.output), dry.output
    assert endpoints(node) == [CONTAINERD] * 4

    there = deploy("docker", **REPLACE)
    assert there.returncode == 0, there.output
    assert endpoints(node) == [CRI_DOCKERD] * 4
    assert node.read(CONFIG) == TEXT.replace(f'"{CONTAINERD}" #', f"{CRI_DOCKERD} #")
    assert healthy(node)
    # Docker Engine works by containerd
    assert states(node, "containerd", "docker", "cri-docker") == ["active enabled"] * 3
    again = deploy("docker", **REPLACE)
    assert nothing_changed(again), again.output
    # nor is the setting needed any more
    again = deploy("docker")
    assert nothing_changed(again), again.output

    back = deploy("containerd", **REPLACE)
    assert back.returncode == 0, back.output
    assert (
        "stop and disable cri-docker.socket, cri-docker.service, docker.socket, docker.service"
    ) in words(back.output)
    assert endpoints(node) == [CONTAINERD] * 4
    assert healthy(node)
    assert states(node, "containerd") == ["active enabled"]
    for each in states(node, "docker.socket", "docker", "cri-docker.socket", "cri-docker"):
        assert each == "inactive disabled"
    # whoever brings it back enables them again, its socket too
    assert sorted(node.read(DISABLED).split()) == [
        *("cri-docker.service", "cri-docker.socket", "docker.service", "docker.socket"),
    ]
    assert {"docker.io", "containerd"} <= set(node.sh("apt-mark showhold").split())
    assert node.try_sh("test -e /run/cri-dockerd.sock")[0] == 1
    again = deploy("containerd")
    assert nothing_changed(again), again.output


def test_crio_takes_containerds_place_where_a_flag_says_whose_it_is(
    node: Target, deploy: Deploy, inventory: WriteInventory
) -> None:
    flags = f'KUBELET_KUBEADM_ARGS="--node-ip=10.0.0.1 --container-runtime-endpoint={CONTAINERD}"\n'
    node.write(ENV, flags)
    node.sh("systemctl restart kubelet")
    config = node.read(CONFIG)

    there = deploy("crio", **REPLACE)
    assert there.returncode == 0, there.output
    assert node.read(ENV) == flags.replace(CONTAINERD, CRIO)
    # what does not count stays as it was
    assert node.read(CONFIG) == config
    assert CRIO in node.read("/etc/crictl.yaml")
    assert healthy(node)
    assert states(node, "containerd", "crio") == ["inactive disabled", "active enabled"]
    again = deploy("crio")
    assert nothing_changed(again), again.output

    back = deploy("containerd", **REPLACE)
    assert back.returncode == 0, back.output
    assert node.read(ENV) == flags
    assert states(node, "containerd", "crio") == ["active enabled", "inactive disabled"]
    assert healthy(node)

    # what is stopped and disabled is no fault, and one that runs beside is one finding
    hosts = inventory(node.host())
    whole = kubenode_cli.audit(hosts).findings()
    assert not [check for check in whole if check.startswith(("runtime.a", "crictl", "cgroup-dr"))]
    node.sh("systemctl start crio")
    two = kubenode_cli.audit(hosts).findings()
    node.sh("systemctl stop crio; rm -f /run/crio/crio.sock")
    assert {check for check in two if not check.startswith("machine.")} - whole.keys() == {
        "runtime.alone"
    }
    assert two["runtime.alone"]["found"].startswith(
        "kubelet's is containerd, and CRI-O runs here (crio.service is active"
    )


@pytest.mark.soak
@pytest.mark.skipif(not loops.is_soak(), reason="containerd's way to each of them has both halves")
def test_docker_and_crio_take_each_others_place(node: Target, deploy: Deploy) -> None:
    node.write(ENV, 'KUBELET_KUBEADM_ARGS="--node-ip=10.0.0.1"\n')
    node.sh("systemctl restart kubelet")
    engine = ("containerd", "docker.socket", "docker", "cri-docker.socket", "cri-docker")
    for runtime, endpoint, active, stopped in (
        ("docker", CRI_DOCKERD, engine, ("crio",)),
        ("crio", CRIO, ("crio",), engine),
        ("docker", CRI_DOCKERD, engine, ("crio",)),
        ("containerd", CONTAINERD, engine[:1], ("crio", *engine[1:])),
    ):
        there = deploy(runtime, **REPLACE)
        assert there.returncode == 0, there.output
        assert endpoints(node) == [endpoint] * 4
        assert healthy(node)
        assert set(states(node, *active)) == {"active enabled"}
        # the first time there is no CRI-O yet
        assert set(states(node, *stopped)) <= {"inactive disabled", "inactive not-found"}
        before = states(node, *active, *stopped)
        again = deploy(runtime)
        assert nothing_changed(again), again.output
        node.reboot()
        node.sh("systemctl is-system-running --wait >/dev/null || :")
        assert states(node, *active, *stopped) == before
        again = deploy(runtime)
        assert nothing_changed(again), again.output


@pytest.mark.soak
@pytest.mark.skipif(not loops.is_soak(), reason="it waits for health: make soak")
def test_a_kubelet_that_does_not_come_up_gets_its_old_runtime_again(
    node: Target, deploy: Deploy
) -> None:
    node.write(ENV, 'KUBELET_KUBEADM_ARGS="--node-ip=10.0.0.1"\n')
    node.write(BROKEN, f"[Service]\nExecStartPre=/bin/sh -c '! grep {CRIO} {CONFIG}'\n")
    node.sh("systemctl daemon-reload; systemctl restart kubelet")
    config, crictl = node.read(CONFIG), node.read("/etc/crictl.yaml")
    broken = deploy("crio", **REPLACE)
    assert broken.returncode == 1, broken.output
    assert "kubelet did not come up with CRI-O; the old runtime is back" in words(broken.output)
    assert (node.read(CONFIG), node.read("/etc/crictl.yaml")) == (config, crictl)
    assert states(node, "containerd") == ["active enabled"]
    assert healthy(node)
    node.sh(f"rm {BROKEN}; systemctl daemon-reload; systemctl reset-failed")
    # control: another run, and nothing in its way
    assert deploy("crio", **REPLACE).returncode == 0
    assert deploy("containerd", **REPLACE).returncode == 0


KILLS = loops.count(2, 100)


@pytest.mark.soak
def test_a_change_of_the_runtime_is_killed_at_any_moment(
    node: Target, deploy: Deploy, tmp_path: Path
) -> None:
    """One runtime serves that kubelet points at, wherever it was stopped, and a rerun converges."""
    for runtime, program in (("crio", "crio"), ("docker", "cri-dockerd")):
        if node.try_sh(f"command -v {program}")[0] != 0:
            assert deploy(runtime, **REPLACE).returncode == 0
            assert deploy("containerd", **REPLACE).returncode == 0
    node.write(ENV, 'KUBELET_KUBEADM_ARGS="--node-ip=10.0.0.1"\n')
    node.sh("systemctl restart kubelet")
    loop = Changeovers(Host(node), node.host_over_ssh("root"), tmp_path)

    def play(number: int, chance: random.Random) -> tuple[Kill, Played]:
        kill = changeovers.choose(chance)
        loops.say(f"{number}: from {loop.now}; {kill}")
        return kill, loop.play(kill, chance)

    rounds.side_by_side(
        "changeovers", KILLS, [lambda seed, kills: rounds.go_round("trixie", play, kills, seed)]
    )
