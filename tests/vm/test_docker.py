"""Docker Engine on a real kernel: a fresh machine becomes a node with it, and is one after a boot.

The engine is Debian's; cri-dockerd is a stand-in over it, or the real one where
``KUBENODE_TEST_CRI_DOCKERD`` names it. ``KUBENODE_SOAK=1 make test-vm`` runs it, on each suite: on
an emulated machine it takes longer than CI has.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end import docker_hosts
from tests.soak import loops
from tests.targets import pyinfra_cli
from tests.vm import box, traps
from tests.vm.conftest import FRESH, changed, deployed, pod_slice
from tests.vm.lab import Lab
from tests.vm.machine import Machine

MEMORY_LIMIT = 64 * 1024 * 1024
PAUSE = "mirror.example.org/pause:1"
SOCKET = "/run/cri-dockerd.sock"


@pytest.mark.skipif(not loops.is_soak(), reason="KUBENODE_SOAK=1 make test-vm runs it")
@pytest.mark.parametrize("vm_lab", box.SUITES, indirect=True)
def test_a_fresh_machine_becomes_a_node_with_docker_engine(
    vm_lab: tuple[Lab, Machine], tmp_path: Path
) -> None:
    machine = vm_lab[1]
    machine.restore(FRESH)
    docker_hosts.ready(machine)
    # what kubelet uses comes with it: on a kernel that has AppArmor on, Docker Engine 20.10 starts
    # no container without apparmor_parser
    own = docker_hosts.host(machine, tmp_path, pause_image=PAUSE, kubernetes_version="1.34")
    hosts = pyinfra_cli.write_inventory(tmp_path / "inventory.py", [own])

    first = deployed(hosts)
    assert first.returncode == 0, first.output
    assert {"overlay", "br_netfilter"} <= traps.live_modules(machine)
    machine.load_image(PAUSE)
    _assert_limited(machine)

    machine.reboot()
    machine.sh(
        "for i in $(seq 300); do docker info >/dev/null 2>&1 && exit; sleep 0.2; done; exit 1"
    )
    assert machine.sh("systemctl is-active docker cri-docker") == "active\nactive\n"
    _assert_limited(machine)
    second = deployed(hosts)
    assert second.returncode == 0, second.output
    assert set(changed(second.output).values()) == {"No Change"}, second.output

    # control: with the other driver a pod is not where kubelet looks for it
    other = deployed(hosts, cgroup_driver="cgroupfs")
    assert other.returncode == 0, other.output
    with machine.cri(SOCKET, _pid_on(machine)) as cri, cri.pod(pod_slice()) as pod:
        assert ".slice/docker-" not in pod.cgroup


def _pid_on(machine: Machine) -> Callable[[str], int]:
    """The PID of a pod or container, which cri-dockerd's status does not have."""
    inspect = "docker inspect -f '{{.State.Pid}}'"
    return lambda container: int(machine.sh(f"{inspect} {container}"))


def _assert_limited(machine: Machine) -> None:
    """A pod's container is in the pod's slice, and has the limit that it was given."""
    parent = pod_slice()
    with machine.cri(SOCKET, _pid_on(machine)) as cri:
        assert cri.runtime_config_driver() == "systemd"
        with cri.pod(parent) as pod:
            assert pod.cgroup == f"{parent}/docker-{pod.id}.scope"
            # the stand-in of cri-dockerd has no containers in pods: the engine's own are alike
            own = parent.rpartition("/")[2]
            run = f"docker run -d --memory {MEMORY_LIMIT} --cgroup-parent {own} {PAUSE}"
            container = machine.sh(run).strip()
            limit = machine.read(f"/sys/fs/cgroup{parent}/docker-{container}.scope/memory.max")
            assert limit == f"{MEMORY_LIMIT}\n"
            machine.sh(f"docker rm -f {container}")
