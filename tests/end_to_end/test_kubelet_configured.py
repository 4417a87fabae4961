"""kubelet's configuration on a real host, with a stand-in that fails in kubelet's words: see
:mod:`tests.repositories.kubernetes`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.end_to_end.test_package_repositories import nothing_changed
from tests.repositories import kubernetes
from tests.soak import loops
from tests.targets import kubenode_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.pyinfra_cli import Result
from tests.targets.ssh_key import SshKey

pytestmark = [pytest.mark.targets, pytest.mark.soak]

CONFIG = "/var/lib/kubelet/config.yaml"
ENV = "/var/lib/kubelet/kubeadm-flags.env"
PATCH = "/etc/kubernetes/patches/kubeletconfiguration+merge.yaml"
TEXT = """\
# of the cluster
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs # as before 1.22
failSwapOn: false
memorySwap: {}
"""
Deploy = Callable[..., Result]


@pytest.fixture(scope="module")
def node(
    docker_client: DockerClient, login_key: SshKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """A host with containerd, and the stand-in with its unit and kubeadm's drop-in."""
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start("trixie")
        target.sh(
            "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "
            "--no-install-recommends iptables containerd >/dev/null"
        )
        folder = tmp_path_factory.mktemp("debs")
        for deb in kubernetes.packages(folder, "1.36.3", "1.1"):
            target.put(deb, f"/root/{deb.name}")
        target.sh("dpkg -i /root/*.deb >/dev/null && systemctl start containerd")
        yield target


@pytest.fixture
def joined(node: Target) -> Iterator[Target]:
    """The host as kubeadm leaves it behind."""
    node.sh("rm -rf /etc/kubernetes /var/lib/kubelet /etc/kubelet.d; mkdir -p /etc/kubernetes")
    node.write("/etc/kubernetes/kubelet.conf", "clusters: []\n")
    node.write(CONFIG, TEXT)
    node.write(ENV, 'KUBELET_KUBEADM_ARGS="--node-ip=10.0.0.1"\n')
    node.sh("systemctl restart kubelet")
    yield node
    node.sh(
        "systemctl stop kubelet; rm -rf /etc/kubernetes /var/lib/kubelet /etc/kubelet.d "
        "/etc/systemd/system/kubelet.service.d; systemctl daemon-reload"
    )


@pytest.fixture
def deploy(
    tmp_path: Path, run_pyinfra: RunPyinfra, inventory: WriteInventory, node: Target
) -> Deploy:
    def run(settings: dict[str, Any], *arguments: str, **call: Any) -> Result:
        words = ", ".join(f"{name}={value!r}" for name, value in call.items())
        path = tmp_path / "deploy.py"
        path.write_text(
            "from kubenode.operations import kubelet\n"
            f"kubelet.configured(settings={settings!r}, {words})\n"
        )
        return run_pyinfra(*(arguments or ("-y", "-v")), inventory(node.host()), path)

    return run


def process(target: Target) -> str:
    return target.sh("systemctl show kubelet -p MainPID --value").strip()


def healthy(target: Target) -> bool:
    asked = "kubectl --server=http://127.0.0.1:10248 get --raw /healthz"
    return target.try_sh(asked)[1] == "ok"


def test_settings_are_in_force_remarks_stay_and_twice_is_nothing(
    joined: Target, deploy: Deploy
) -> None:
    wanted = {
        "cgroupDriver": "systemd",
        "memorySwap": {"swapBehavior": "LimitedSwap"},
        "containerLogMaxSize": "50Mi",
    }
    before = process(joined)
    dry = deploy(wanted, "--dry", "--diff")
    assert dry.returncode == 0, dry.output
    assert f"{CONFIG}: cgroupDriver cgroupfs -> systemd" in dry.output
    assert (joined.read(CONFIG), process(joined)) == (TEXT, before)

    result = deploy(wanted)
    assert result.returncode == 0, result.output
    assert joined.read(CONFIG) == (
        TEXT.replace("cgroupDriver: cgroupfs #", "cgroupDriver: systemd #").replace(
            "memorySwap: {}", "memorySwap:\n  swapBehavior: LimitedSwap"
        )
        + "containerLogMaxSize: 50Mi\n"
    )
    assert joined.read(f"{CONFIG}.kubenode-backup") == TEXT
    assert process(joined) not in ("0", before)
    assert healthy(joined)
    assert "ConfigMap kube-system/kubelet-config must say the same" in result.output
    again = deploy(wanted)
    assert nothing_changed(again), again.output


def test_the_place_that_counts_is_changed(joined: Target, deploy: Deploy) -> None:
    """A flag in kubeadm's file, and a drop-in of --config-dir."""
    joined.write(ENV, 'KUBELET_KUBEADM_ARGS="--max-pods=200 --config-dir=/etc/kubelet.d"\n')
    drop_in = f"# own\n{TEXT.splitlines()[1]}\nkind: KubeletConfiguration\nfailSwapOn: false # x\n"
    joined.write("/etc/kubelet.d/10-own.conf", drop_in)
    joined.sh("systemctl restart kubelet")
    result = deploy({"maxPods": 150, "failSwapOn": False, "podPidsLimit": 4096})
    assert result.returncode == 0, result.output
    assert joined.read(ENV) == 'KUBELET_KUBEADM_ARGS="--max-pods=150 --config-dir=/etc/kubelet.d"\n'
    assert joined.read("/etc/kubelet.d/10-own.conf") == drop_in
    assert joined.read(CONFIG) == TEXT + "podPidsLimit: 4096\n"
    assert "--max-pods=150" in joined.sh(f"tr '\\0' ' ' </proc/{process(joined)}/cmdline")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "endpoint": (
        {"containerRuntimeEndpoint": "unix:///run/nowhere.sock"},
        "validate CRI v1 runtime API",
    ),
    "cgroup": (
        {
            "enforceNodeAllocatable": ["pods", "system-reserved"],
            "systemReservedCgroup": "/nowhere",
        },
        "/nowhere cgroup does not exist",
    ),
}
"""What it ends over, and its words, by what is wrong."""


@pytest.mark.parametrize("wrong", loops.choice(["cgroup"], REFUSED))
def test_what_kubelet_does_not_start_with_is_put_back(
    wrong: str, joined: Target, deploy: Deploy
) -> None:
    wanted, says = REFUSED[wrong]
    result = deploy(wanted)
    assert result.returncode == 1
    said = " ".join(result.output.split())
    assert "kubelet did not come up with the new configuration, and is healthy again" in said
    assert "the old configuration is back" in said
    assert says in said
    assert joined.read(CONFIG) == TEXT
    assert healthy(joined)
    # control: the stand-in ends with it, and not without
    lines = [f"{name}: {value}\n" for name, value in wanted.items() if isinstance(value, str)]
    joined.write("/root/broken.yaml", TEXT + "".join(lines))
    assert says in joined.try_sh("kubelet --config=/root/broken.yaml --healthz-port=0")[2]
    code, _, _ = joined.try_sh(f"timeout 3 kubelet --config={CONFIG} --healthz-port=0")
    assert code == 124


def test_what_breaks_kubelets_own_rules_changes_nothing(joined: Target, deploy: Deploy) -> None:
    joined.write(CONFIG, f"{TEXT}imageGCLowThresholdPercent: 70\n")
    joined.sh("systemctl restart kubelet")
    before = process(joined)
    result = deploy({"imageGCHighThresholdPercent": 65})
    # by itself it breaks none, so it is no error of the deploy's but of this host
    assert result.returncode == 1
    assert "must be less than" in result.output
    bad = deploy({"imageGCHighThresholdPercent": 60, "maxPods": 7})
    assert "imageGCLowThresholdPercent 80 must be less than" in bad.output
    assert process(joined) == before


def test_under_pods_the_driver_is_not_changed(joined: Target, deploy: Deploy) -> None:
    joined.import_pause_image()
    with joined.cri() as cri, cri.pod(cgroup_parent="/kubepods/besteffort/podd7f5"):
        before = process(joined)
        result = deploy({"cgroupDriver": "systemd"})
        assert result.returncode == 1
        assert "pods do not survive another cgroup driver (cgroupfs -> systemd)" in result.output
        assert (joined.read(CONFIG), process(joined)) == (TEXT, before)
        # another setting is not about pods
        assert deploy({"maxPods": 99}).returncode == 0


def test_a_flag_of_a_drop_in_of_the_unit_is_named(joined: Target, deploy: Deploy) -> None:
    joined.write(
        "/etc/systemd/system/kubelet.service.d/20-own.conf",
        "[Service]\nEnvironment='KUBELET_KUBECONFIG_ARGS=--cgroup-driver=cgroupfs'\n",
    )
    joined.sh("systemctl daemon-reload; systemctl restart kubelet")
    result = deploy({"cgroupDriver": "systemd"})
    assert result.returncode == 1
    assert "kubelet.service: --cgroup-driver=cgroupfs wins over all files" in result.output
    assert joined.read(CONFIG) == TEXT


def test_before_the_node_has_joined_kubeadm_gets_a_patch(node: Target, deploy: Deploy) -> None:
    wanted = {"cgroupDriver": "systemd", "memorySwap": {"swapBehavior": "NoSwap"}}
    result = deploy(wanted)
    assert result.returncode == 0, result.output
    assert node.read(PATCH).splitlines()[1:] == [
        "apiVersion: kubelet.config.k8s.io/v1beta1",
        "kind: KubeletConfiguration",
        "cgroupDriver: systemd",
        "memorySwap:",
        "  swapBehavior: NoSwap",
    ]
    assert "--patches /etc/kubernetes/patches" in result.output
    assert node.sh("ls /var/lib/kubelet 2>/dev/null; :") == ""
    again = deploy(wanted)
    assert nothing_changed(again), again.output
    node.sh("rm -r /etc/kubernetes")


def test_one_deploy_moves_the_driver_on_both_sides_of_an_idle_node_and_back(
    joined: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    name, data = joined.host()

    def drivers() -> tuple[set[bool], str]:
        with joined.cri() as cri:
            of_runtime = set(cri.systemd_cgroup().values())
        line = next(each for each in joined.read(CONFIG).splitlines() if "cgroupDriver" in each)
        return of_runtime, line.split()[1]

    for driver in ("systemd", "cgroupfs"):
        settings: dict[str, Any] = {"kubenode_cgroup_driver": driver, "kubenode_kubelet": {}}
        hosts = inventory((name, {**data, **settings}))
        result = run_pyinfra("-y", hosts, ROOT / "deploy.py")
        assert result.returncode == 0, result.output
        assert drivers() == ({driver == "systemd"}, driver)
        assert healthy(joined)
        second = run_pyinfra("-y", "-v", hosts, ROOT / "deploy.py")
        assert "kubelet has cgroupDriver as wanted" in second.output, second.output


def test_a_kubelet_that_runs_with_what_was_is_found_and_restarted(
    joined: Target, deploy: Deploy, inventory: WriteInventory
) -> None:
    """With the check's printed remedy: a setting that is as wanted already."""
    wanted = {"failSwapOn": False}
    # control: what runs with its files is left alone
    assert nothing_changed(deploy(wanted))
    before = process(joined)
    joined.write(CONFIG, f"{TEXT}maxPods: 50\n")
    found = kubenode_cli.audit(inventory(joined.host())).findings()["kubelet.applied"]
    assert found["found"] == f"{CONFIG} was changed since"
    evidence = [(each["file"], each["line"], each["text"]) for each in found["evidence"]]
    assert (CONFIG, 7, "after a restart: maxPods: 50") in evidence
    assert process(joined) == before
    result = deploy(wanted)
    assert result.returncode == 0, result.output
    assert f"kubelet runs with what was: {CONFIG} was changed since" in result.output
    assert process(joined) not in ("0", before)
    assert healthy(joined)
    assert nothing_changed(deploy(wanted))
    assert "kubelet.applied" not in kubenode_cli.audit(inventory(joined.host())).findings()


def test_a_shutdown_waits_for_pods_now_and_after_a_boot_whoever_else_wants_it_shorter(
    joined: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    """The files of kubernetes#102818: unattended-upgrades' sorts behind kubelet's own."""
    theirs = "/usr/lib/systemd/logind.conf.d/unattended-upgrades-logind-maxdelay.conf"
    ours = "/etc/systemd/logind.conf.d/zz-kubenode.conf"
    joined.write(theirs, "[Login]\nInhibitDelayMaxSec=30\n")
    joined.write("/etc/systemd/logind.conf.d/99-kubelet.conf", "[Login]\nInhibitDelayMaxSec=60\n")
    joined.sh("systemctl restart systemd-logind")

    def delay() -> str:
        return joined.sh(
            "busctl get-property org.freedesktop.login1 /org/freedesktop/login1 "
            "org.freedesktop.login1.Manager InhibitDelayMaxUSec"
        ).strip()

    assert delay() == "t 30000000"
    name, data = joined.host()
    hosts = inventory((name, {**data, "kubenode_shutdown_grace_period": "60s",
                              "kubenode_shutdown_grace_period_critical_pods": "20s"}))  # fmt: skip
    started = joined.sh("systemctl show systemd-logind -p MainPID")
    result = run_pyinfra("-y", hosts, ROOT / "deploy.py")
    assert result.returncode == 0, result.output
    said = " ".join(result.output.split())
    assert f"a shutdown may wait 30 s -> 60 s ({ours}:3)" in said
    assert delay() == "t 60000000"
    # it was told to read its files again, and nobody's session ended
    assert joined.sh("systemctl show systemd-logind -p MainPID") == started
    text = joined.read(CONFIG)
    assert "shutdownGracePeriod: 60s\nshutdownGracePeriodCriticalPods: 20s\n" in text
    assert "cgroupDriver: cgroupfs #" in text
    second = run_pyinfra("-y", "-v", hosts, ROOT / "deploy.py")
    assert "a shutdown may wait 60 s, 60s are wanted" in second.output, second.output
    # what sorts behind it is not overruled in silence, after logind has read it again
    joined.write("/etc/systemd/logind.conf.d/zzz.conf", "[Login]\nInhibitDelayMaxSec=7\n")
    refused = run_pyinfra("-y", hosts, ROOT / "deploy.py")
    assert refused.returncode == 1
    assert "/etc/systemd/logind.conf.d/zzz.conf:2: InhibitDelayMaxSec=7 wins" in " ".join(
        refused.output.split()
    )
    joined.sh(f"rm -r {theirs} /etc/systemd/logind.conf.d; systemctl restart systemd-logind")
