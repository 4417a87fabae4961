"""A real kernel: modules that are loaded, a boot that brings them back, limits that are applied.

Each machine becomes a node. What a boot does, and pods' limits, ``make test`` looks at on Debian 13
alone, where systemd is newer; with ``KUBENODE_SOAK=1`` on each.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.soak import loops
from tests.targets import pyinfra_cli
from tests.vm import box, traps
from tests.vm.conftest import Prepared, changed, pod_slice
from tests.vm.machine import Machine

MEMORY_LIMIT = 64 * 1024 * 1024

one_suite = pytest.mark.parametrize("vm_lab", loops.choice(["bookworm"], box.SUITES), indirect=True)


def test_a_fresh_machine_becomes_a_node(prepared: Prepared) -> None:
    first, second = changed(prepared.first.output), changed(prepared.second.output)
    assert first["Node | Kernel modules"] == "Success"
    assert "module br_netfilter: loadable -> loaded" in prepared.first.output
    assert prepared.second.returncode == 0, prepared.second.output
    assert set(second.values()) == {"No Change"}, prepared.second.output
    assert len(second) == len(first) == 7

    # read on the machine itself, not through our facts
    machine = prepared.machine
    assert {"overlay", "br_netfilter"} <= traps.live_modules(machine)
    assert "net.ipv4.ip_forward" in prepared.defaults
    assert prepared.defaults["net.ipv4.ip_forward"] == "0"
    live = traps.live_sysctls(machine)
    assert {live[key] for key in traps.DEPLOYED} == {"1"}
    assert machine.sh("systemctl is-active containerd") == "active\n"


@one_suite
def test_the_next_boot_is_as_predicted(
    prepared: Prepared, node: Machine, vm_inventory: Path
) -> None:
    expected = traps.sysctls(node.suite)
    traps.lay(node)
    sysctls, modules = _predictions(vm_inventory, list(expected))
    assert {
        key: sysctl["boot"] if sysctl["boot_state"] == "set" else sysctl["boot_state"]
        for key, sysctl in sysctls.items()
    } == {key: value or "unset" for key, value in expected.items()}
    assert {name: module["boot"] for name, module in modules.items()} == dict(traps.MODULES)

    node.reboot()

    live = traps.live_sysctls(node)
    assert live == {key: value or prepared.defaults[key] for key, value in expected.items()}
    loaded = traps.live_modules(node)
    assert {name: name in loaded for name in traps.MODULES} == dict(traps.MODULES)
    assert node.sh("systemctl is-active containerd") == "active\n"

    # and the facts say so afterwards
    sysctls, modules = _predictions(vm_inventory, list(expected))
    assert {key: sysctl["live"] for key, sysctl in sysctls.items()} == live
    for name, module in modules.items():
        assert (module["state"] == "loaded") == traps.MODULES[name], (name, module)
        assert module["boot"] == traps.MODULES[name], (name, module)

    again = pyinfra_cli.run("-y", vm_inventory, ROOT / "deploy.py", cwd=vm_inventory.parent)
    assert again.returncode == 0, again.output
    assert set(changed(again.output).values()) == {"No Change"}, again.output


def _predictions(inventory: Path, keys: list[str]) -> tuple[dict, dict]:  # type: ignore[type-arg]
    """The sysctls and modules of the facts Sysctls and KernelModules."""
    answers = []
    for fact in (
        ("kernel.Sysctls", f"keys={','.join(keys)}"),
        ("kernel.KernelModules", f"modules={','.join(traps.MODULES)}"),
    ):
        result = pyinfra_cli.run(
            *("--json", inventory, "fact", f"kubenode.facts.{fact[0]}", fact[1]),
            cwd=inventory.parent,
        )
        assert result.returncode == 0, result.output
        ((answer,),) = (by_host.values() for by_host in result.json().values())
        answers.append(answer)
    return answers[0]["keys"], answers[1]["modules"]


@one_suite
def test_a_pods_memory_limit_is_applied_in_its_slice(node: Machine, vm_inventory: Path) -> None:
    parent = pod_slice()
    with node.cri() as cri:
        image = node.import_pause_image(cri)
        with cri.pod(parent) as pod:
            container = cri.run_container(pod, image, MEMORY_LIMIT)
            assert pod.cgroup == f"{parent}/cri-containerd-{pod.id}.scope"
            assert container.cgroup == f"{parent}/cri-containerd-{container.id}.scope"
            limit = node.read(f"/sys/fs/cgroup{container.cgroup}/memory.max")
            assert limit == f"{MEMORY_LIMIT}\n"
            # the pod's slice accounts for what is in it, so its limits hold
            assert int(node.read(f"/sys/fs/cgroup{parent}/memory.current")) > 0

    # control: the check above fails with the other driver
    cgroupfs = pyinfra_cli.run(
        *("-y", vm_inventory, ROOT / "deploy.py"),
        cwd=vm_inventory.parent,
        data={"kubenode_cgroup_driver": "cgroupfs"},
    )
    assert cgroupfs.returncode == 0, cgroupfs.output
    with node.cri() as cri, cri.pod(parent) as pod:
        container = cri.run_container(pod, image, MEMORY_LIMIT)
        assert not pod.cgroup.startswith("/kubepods.slice/")
        assert not container.cgroup.startswith("/kubepods.slice/")
        assert ".slice:cri-containerd:" in container.cgroup
