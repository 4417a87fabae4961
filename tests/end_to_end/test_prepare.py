"""The main job on real hosts: prepare, prepare again, reboot, and hosts that cannot be nodes."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.targets.container import Target, has_cgroup_v1
from tests.targets.cri import Cri, CriError
from tests.targets.fleet import Fleet

pytestmark = pytest.mark.targets

DEPLOY = ROOT / "deploy.py"

OPERATIONS = 7
REMOTE_COMMANDS_OF_A_NOOP = 1
# the package manager is looked for when containerd has to be installed
MOST_REMOTE_COMMANDS_OF_A_DRY_RUN = 3


def changes(output: str) -> dict[str, tuple[int, int, int]]:
    """Success, error and "no change" counts by operation, from pyinfra's table of results."""
    rows = re.findall(r"^ *(Node \| .+?) {2,}\d+ +(\S+) +(\S+) +(\S+) *$", output, re.MULTILINE)
    return {
        name: tuple(0 if count == "-" else int(count) for count in counts)  # type: ignore[misc]
        for name, *counts in rows
    }


def assert_in_kubepods_slice(cri: Cri) -> None:
    """What the systemd cgroup driver is for: the pod is a scope in the slice kubelet asked for."""
    with cri.pod(cgroup_parent="/kubepods.slice") as pod:
        assert pod.cgroup == f"/kubepods.slice/cri-containerd-{pod.id}.scope"


def test_a_fresh_host_becomes_a_node_and_stays_one(
    shared_target: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    target = shared_target
    hosts = inventory(target.host())
    assert target.try_sh("command -v containerd")[0] != 0

    first = run_pyinfra("-y", hosts, DEPLOY)
    assert first.returncode == 0, first.output
    assert changes(first.output)["Node | containerd is configured"] == (1, 0, 0)

    # read on the host itself, not through our facts
    assert target.read("/etc/modules-load.d/k8s.conf").split() == ["overlay", "br_netfilter"]
    assert "overlay" in target.read("/proc/filesystems")
    for key in ("bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"):
        assert target.read(f"/proc/sys/net/{key}") == "1\n"
    assert target.read("/proc/sys/net/ipv4/ip_forward") == "1\n"
    assert target.sh("systemctl is-enabled containerd") == "enabled\n"
    assert target.sh("apt-mark showhold") == "containerd\n"
    assert "unix:///run/containerd/containerd.sock" in target.read("/etc/crictl.yaml")

    # ask the runtime
    target.import_pause_image()
    with target.cri() as cri:
        assert cri.conditions()["RuntimeReady"]
        assert cri.systemd_cgroup() == {"runc": True}
        assert cri.runtime_config_driver() in ("systemd", None)
        assert_in_kubepods_slice(cri)

    second = run_pyinfra("-y", "-vv", hosts, DEPLOY)
    assert second.returncode == 0, second.output
    assert len(changes(second.output)) == OPERATIONS
    assert set(changes(second.output).values()) == {(0, 0, 1)}, second.output
    assert second.output.count("noop: ") == OPERATIONS, "an operation does not say why"
    assert remote_commands(second.output, target.host()) == REMOTE_COMMANDS_OF_A_NOOP

    # the defaults Docker gives a container must not be what passes the check after the boot
    target.write("/etc/sysctl.d/00-off.conf", "net.ipv4.ip_forward = 0\n")
    target.reboot()
    assert target.read("/proc/sys/net/ipv4/ip_forward") == "1\n"
    assert target.sh("systemctl is-active containerd") == "active\n"
    with target.cri() as cri:
        assert_in_kubepods_slice(cri)
    after_reboot = run_pyinfra("-y", hosts, DEPLOY)
    assert set(changes(after_reboot.output).values()) == {(0, 0, 1)}, after_reboot.output


def remote_commands(output: str, host: tuple[str, dict[str, str]]) -> int:
    """How many commands pyinfra ran on a host, from its ``-vv`` output."""
    return len(re.findall(rf"^ *\[{re.escape(host[0])}\] +>>> ", output, re.MULTILINE))


def test_with_the_cgroupfs_driver_the_pod_is_misplaced(
    shared_target: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    """Control: the check that proves the systemd driver fails without it."""
    target = shared_target
    name, data = target.host()
    hosts = inventory((name, {**data, "kubenode_cgroup_driver": "cgroupfs"}))
    assert run_pyinfra("-y", hosts, DEPLOY).returncode == 0
    target.import_pause_image()
    with target.cri() as cri:
        assert cri.systemd_cgroup() == {"runc": False}
        with pytest.raises((AssertionError, CriError)):
            assert_in_kubepods_slice(cri)


def test_dry_run_changes_nothing_and_shows_what_would_change(
    targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    target = targets.start()
    before = file_system(target)
    result = run_pyinfra("--dry", "--diff", "-vv", inventory(target.host()), DEPLOY)
    assert result.returncode == 0, result.output
    assert remote_commands(result.output, target.host()) <= MOST_REMOTE_COMMANDS_OF_A_DRY_RUN
    assert file_system(target) == before
    assert "create /etc/modules-load.d/k8s.conf" in result.output
    assert "+ br_netfilter" in result.output
    assert "+ net.ipv4.ip_forward = 1" in result.output
    assert "install containerd with apt-get (was: not installed)" in result.output
    assert "containerd will be configured once it is installed" in result.output

    # a pipeline must not pass what the run itself would fail
    target.write("/etc/sysctl.d/zz-cis.conf", "net.ipv4.ip_forward = 0\n")
    before = file_system(target)
    foreseen = run_pyinfra("--dry", "--diff", inventory(target.host()), DEPLOY)
    assert "would fail: /etc/sysctl.d/zz-cis.conf:1" in foreseen.output
    assert foreseen.returncode == 1, foreseen.output
    assert file_system(target) == before
    judged = run_pyinfra("--dry", inventory(target.host()), ROOT / "audit.py")
    assert "would fail: " in judged.output
    assert judged.returncode == 1, judged.output


def file_system(target: Target) -> str:
    """Every file an operation could change, with its size and times."""
    return target.sh(
        "find /boot /etc /home /opt /root /usr /var/lib -xdev -path /var/lib/systemd -prune"
        " -o -printf '%p %s %T@ %C@ %m %u\\n' | sort"
    )


def test_unsuitable_hosts_fail_alone(
    targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    good = targets.start("trixie")
    without_systemd = targets.start("trixie", init="sleep")
    without_apt = targets.start("trixie")
    without_apt.sh("mv /usr/bin/apt-get /usr/bin/apt-get.gone")
    bad = [without_systemd, without_apt]
    before = [file_system(target) for target in bad]

    result = run_pyinfra("-y", inventory(*(target.host() for target in [good, *bad])), DEPLOY)

    assert result.returncode == 1, "the exit code hides the failed hosts"
    assert "Traceback" not in result.output
    assert changes(result.output)["Node | Can this host be a node?"] == (0, 2, 1)
    assert changes(result.output)["Node | containerd is configured"] == (1, 2, 0)
    assert "PID 1 is sleep: boot the host with systemd" in result.output
    assert "it has no known package manager" in result.output
    assert [file_system(target) for target in bad] == before
    assert good.cri().systemd_cgroup() == {"runc": True}


def test_over_ssh_as_a_user_with_sudo_and_as_one_without(
    targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    target = targets.start("bookworm")
    before = file_system(target)

    plain = run_pyinfra("-y", inventory(target.host_over_ssh("operator")), DEPLOY)
    assert plain.returncode == 1
    assert "commands run as uid " in plain.output
    assert "run with --sudo" in plain.output

    stranger = run_pyinfra("-y", "--sudo", inventory(target.host_over_ssh("stranger")), DEPLOY)
    assert stranger.returncode == 1
    assert "sudo wants a password, or does not let this user become root" in stranger.output
    assert "Traceback" not in plain.output + stranger.output
    assert file_system(target) == before

    operator = inventory(target.host_over_ssh("operator"))
    first = run_pyinfra("-y", "--sudo", operator, DEPLOY)
    assert first.returncode == 0, first.output
    second = run_pyinfra("-y", "-vv", "--sudo", operator, DEPLOY)
    assert set(changes(second.output).values()) == {(0, 0, 1)}, second.output
    host = target.host_over_ssh("operator")
    assert remote_commands(second.output, host) == REMOTE_COMMANDS_OF_A_NOOP
    assert target.cri().systemd_cgroup() == {"runc": True}


@pytest.mark.skipif(not has_cgroup_v1(), reason="this machine has no cgroup v1 to show")
def test_a_host_on_cgroup_v1_is_warned_and_refused_for_later_releases(
    targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    name, data = targets.start("bookworm", cgroup="v1").host()

    warned = run_pyinfra("--dry", inventory((name, data)), DEPLOY)
    assert re.search(r"runs cgroup (v1|hybrid), which kubelet 1.35 and later refuse", warned.output)

    refused = run_pyinfra(
        "-y", inventory((name, {**data, "kubenode_kubernetes_version": "1.35"})), DEPLOY
    )
    assert refused.returncode == 1
    assert re.search(r"runs cgroup (v1|hybrid) and Kubernetes 1.35 needs v2", refused.output)
