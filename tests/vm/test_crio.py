"""CRI-O on a real kernel: a fresh machine becomes a node with it, and is one after a boot.

CRI-O comes as upstream's static bundle, from the control machine. What is in it is a stand-in, or
the real crio where ``KUBENODE_TEST_CRIO`` names it. ``KUBENODE_SOAK=1 make test-vm`` runs it, on
each suite: on an emulated machine it takes longer than CI has.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end import crio_hosts
from tests.end_to_end.crio_hosts import PAUSE_IMAGE, SOCKET
from tests.repositories import cri_o
from tests.repositories.server import Server
from tests.soak import loops
from tests.targets import pyinfra_cli
from tests.targets.cri import Container, Pod
from tests.vm import box, traps
from tests.vm.conftest import FRESH, changed, deployed, pod_slice
from tests.vm.lab import Lab
from tests.vm.machine import Machine

MEMORY_LIMIT = 64 * 1024 * 1024


@pytest.mark.skipif(not loops.is_soak(), reason="KUBENODE_SOAK=1 make test-vm runs it")
@pytest.mark.parametrize("vm_lab", box.SUITES, indirect=True)
def test_a_fresh_machine_becomes_a_node_with_crio(
    vm_lab: tuple[Lab, Machine], tmp_path: Path
) -> None:
    machine = vm_lab[1]
    if machine.suite == "bookworm" and not cri_o.is_stand_in(cri_o.NEW):
        pytest.skip("Debian 12's crun does not know the containers that CRI-O 1.36 has it make")
    machine.restore(FRESH)
    crio_hosts.give_needs(machine)
    source = crio_hosts.bundle_source(tmp_path)
    name, own = machine.host()
    settings = {"kubenode_runtime": "crio", "kubenode_crio_source": source}
    hosts = pyinfra_cli.write_inventory(tmp_path / "inventory.py", [(name, {**own, **settings})])

    first = deployed(hosts)
    assert first.returncode == 0, first.output
    assert {"overlay", "br_netfilter"} <= traps.live_modules(machine)

    served = tmp_path / "served"
    served.mkdir()
    with Server(served, machine.gateway()) as server, crio_hosts.images(server):
        crio_hosts.images_from(machine, server)
        machine.sh("systemctl reload crio")
        _assert_limited(machine)

    machine.reboot()
    assert machine.sh("systemctl is-active crio") == "active\n"
    _assert_limited(machine)
    second = deployed(hosts)
    assert second.returncode == 0, second.output
    assert set(changed(second.output).values()) == {"No Change"}, second.output

    # control: with the systemd driver CRI-O refuses such a parent
    other = deployed(hosts, cgroup_driver="cgroupfs")
    assert other.returncode == 0, other.output
    with machine.cri(SOCKET) as cri, cri.pod("/kubepods") as pod:
        assert ".slice/" not in pod.cgroup


def _assert_limited(machine: Machine) -> None:
    """A pod's container is in the pod's slice, and has the limit that it was given."""
    parent = pod_slice()
    with machine.cri(SOCKET) as cri:
        assert cri.runtime_config_driver() == "systemd"
        with cri.pod(parent) as pod:
            container = cri.run_container(pod, PAUSE_IMAGE, MEMORY_LIMIT)
            scopes = (_scope(pod), _scope(container))
            assert scopes == (
                f"{parent}/crio-{pod.id}.scope",
                f"{parent}/crio-{container.id}.scope",
            )
            limit = machine.read(f"/sys/fs/cgroup{_scope(container)}/memory.max")
            assert limit == f"{MEMORY_LIMIT}\n"


def _scope(each: Pod | Container) -> str:
    """The unit that systemd has for it: crun makes a cgroup of its own in there."""
    return each.cgroup.removesuffix("/container")
