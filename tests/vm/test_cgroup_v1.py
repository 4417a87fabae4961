"""Each runtime on a real kernel with cgroup v1, by both drivers.

Debian 12's systemd is the last of Debian's that boots so. The runtimes are Debian's containerd and
Docker Engine, and CRI-O's bundle; cri-dockerd is a stand-in, and CRI-O is one unless
``KUBENODE_TEST_CRIO`` names the real one. ``KUBENODE_SOAK=1 make test-vm`` runs it: on an emulated
machine it takes longer than CI has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end import crio_hosts, docker_hosts
from tests.end_to_end.crio_hosts import PAUSE_IMAGE
from tests.repositories.server import Server
from tests.soak import loops
from tests.targets import kubenode_cli, pyinfra_cli
from tests.vm.conftest import FRESH, changed, deployed, pod_slice
from tests.vm.lab import Lab
from tests.vm.machine import Machine

pytestmark = pytest.mark.skipif(not loops.is_soak(), reason="KUBENODE_SOAK=1 make test-vm runs it")

V1 = "v1"
"""The snapshot of the machine that has booted so."""
SOCKETS = {
    "containerd": "/run/containerd/containerd.sock",
    "docker": "/run/cri-dockerd.sock",
    "crio": "/run/crio/crio.sock",
}


@pytest.fixture(scope="module")
def v1(vm_lab: tuple[Lab, Machine]) -> Iterator[Machine]:
    """A machine that has booted with cgroup v1, and is fresh."""
    machine = vm_lab[1]
    machine.restore(FRESH)
    machine.boot_with("systemd.unified_cgroup_hierarchy=0")
    assert machine.try_sh("test -e /sys/fs/cgroup/cgroup.controllers")[0] == 1
    # with systemd's own tree as v2 beside those of v1
    assert machine.sh("stat -f -c %T /sys/fs/cgroup/memory") == "cgroupfs\n"
    machine.snapshot(V1)
    yield machine
    machine.restore(FRESH)


@pytest.mark.parametrize("vm_lab", ["bookworm"], indirect=True)
@pytest.mark.parametrize("runtime", SOCKETS)
def test_a_machine_with_cgroup_v1_becomes_a_node(v1: Machine, runtime: str, tmp_path: Path) -> None:
    machine = v1
    machine.restore(V1)
    name, data = settings(machine, runtime, tmp_path)
    hosts = pyinfra_cli.write_inventory(tmp_path / "inventory.py", [(name, data)])

    # kubelet of this release does not start there
    refused = deployed(hosts, kubernetes_version='"1.36"')
    assert refused.returncode == 1, refused.output
    assert "it runs cgroup hybrid" in " ".join(refused.output.split())

    first = deployed(hosts)
    assert first.returncode == 0, first.output
    assert "it runs cgroup hybrid" in " ".join(first.output.split())
    served = tmp_path / "served"
    served.mkdir()
    with Server(served, machine.gateway()) as server, crio_hosts.images(server):
        if runtime == "crio":
            crio_hosts.images_from(machine, server)
            machine.sh("systemctl reload crio")
        else:
            command = {"docker": "docker load"}.get(runtime, "ctr -n k8s.io images import -")
            machine.load_image(PAUSE_IMAGE, command)
        parent = pod_slice()
        with machine.cri(SOCKETS[runtime], pid_of(machine, runtime)) as cri:
            assert cri.runtime_config_driver() in ("systemd", None)
            with cri.pod(parent) as pod:
                scope = pod.cgroup.removesuffix("/container")
                assert scope.startswith(f"{parent}/"), scope
                assert scope.endswith(f"{pod.id}.scope"), scope
                # every controller of v1 has a tree of its own
                for controller in ("memory", "pids", "cpu"):
                    assert machine.sh(f"cat /sys/fs/cgroup/{controller}{scope}/cgroup.procs")
        second = deployed(hosts)
        assert second.returncode == 0, second.output
        assert set(changed(second.output).values()) == {"No Change"}, second.output
        found = kubenode_cli.audit(hosts).findings()
        assert not [check for check in found if check.startswith(("runtime.", "cgroup.driver"))]

        other = deployed(hosts, cgroup_driver="cgroupfs")
        assert other.returncode == 0, other.output
        with machine.cri(SOCKETS[runtime], pid_of(machine, runtime)) as cri:
            assert cri.runtime_config_driver() in ("cgroupfs", None)
            with cri.pod("/kubepods/podv1") as pod:
                memory = machine.sh(
                    f"cat /sys/fs/cgroup/memory/kubepods/podv1/*{pod.id}*/cgroup.procs"
                )
                assert memory.strip()


def settings(machine: Machine, runtime: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """The machine in an inventory, as one that shall have a runtime."""
    if runtime == "docker":
        docker_hosts.ready(machine)
        return docker_hosts.host(machine, folder, pause_image=PAUSE_IMAGE)
    name, data = machine.host()
    if runtime == "crio":
        crio_hosts.give_needs(machine)
        source = crio_hosts.bundle_source(folder)
        data = {**data, "kubenode_runtime": "crio", "kubenode_crio_source": source}
    return name, {**data, "kubenode_pause_image": PAUSE_IMAGE}


def pid_of(machine: Machine, runtime: str) -> Callable[[str], int] | None:
    """What tells a pod's PID where the status of CRI does not."""
    inspect = "docker inspect -f '{{.State.Pid}}'"
    return (lambda pod: int(machine.sh(f"{inspect} {pod}"))) if runtime == "docker" else None
