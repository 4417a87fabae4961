"""Fixtures: virtual machines, fresh or prepared, each as good as new for every test.

A machine is started once for each suite and put back by snapshots. A test that uses one is marked
``vm``. Where machines cannot be had the tests are skipped and say why; in CI they fail.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.targets import pyinfra_cli
from tests.targets.pyinfra_cli import Result
from tests.vm import box, lab, traps
from tests.vm.lab import Lab
from tests.vm.machine import Machine

FRESH, NODE = "fresh", "node"

OWN_FILES = (
    "/etc/modules-load.d/k8s.conf",
    "/etc/sysctl.d/k8s.conf",
    "/etc/containerd/config.toml",
    "/etc/crictl.yaml",
)
"""What deploy.py writes."""


@dataclass(frozen=True)
class Prepared:
    """A machine that deploy.py has made a node, and how that went."""

    machine: Machine
    defaults: dict[str, str]
    """The kernel's sysctls before anything was changed."""
    first: Result
    second: Result
    files: dict[str, str]
    """The content of :data:`OWN_FILES`."""
    originals: dict[str, str | None]
    """What was there before, when the package was installed; None where nothing was."""


@pytest.fixture(scope="session", params=box.SUITES)
def vm_lab(request: pytest.FixtureRequest) -> Iterator[tuple[Lab, Machine]]:
    """One running machine, with the snapshot ``fresh`` of its first boot."""
    if reason := lab.obstacle():
        if os.environ.get("CI"):
            pytest.fail(f"no virtual machine: {reason}", pytrace=False)
        pytest.skip(f"no virtual machine: {reason}")
    own = Lab("test", [request.param], print)
    # what an interrupted run has left
    own.destroy()
    try:
        (machine,) = own.up().values()
        machine.snapshot(FRESH)
        yield own, machine
    finally:
        own.destroy()


@pytest.fixture(scope="session")
def prepared(vm_lab: tuple[Lab, Machine], tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The machine after two runs of deploy.py by Vagrant's inventory; its snapshot is ``node``."""
    own, machine = vm_lab
    defaults = traps.live_sysctls(machine)
    folder = tmp_path_factory.mktemp("prepared")

    def deploy() -> Result:
        return pyinfra_cli.run(
            "-y",
            "-v",
            ROOT / "inventories" / "vagrant.py",
            ROOT / "deploy.py",
            cwd=folder,
            environment=own.environment(),
        )

    first, second = deploy(), deploy()
    assert first.returncode == 0, first.output
    files = {path: machine.read(path) for path in OWN_FILES}
    packaged = machine.read("/etc/containerd/config.toml.kubenode-backup")
    originals = {**dict.fromkeys(OWN_FILES), "/etc/containerd/config.toml": packaged}
    machine.snapshot(NODE)
    return Prepared(machine, defaults, first, second, files, originals)


@pytest.fixture
def node(prepared: Prepared) -> Machine:
    """The prepared machine, as good as new."""
    prepared.machine.restore(NODE)
    return prepared.machine


@pytest.fixture
def fresh(prepared: Prepared) -> Machine:
    """The machine as it was after its first boot."""
    prepared.machine.restore(FRESH)
    return prepared.machine


@pytest.fixture
def vm_inventory(prepared: Prepared, tmp_path: Path) -> Path:
    """An inventory of the machine, by SSH as the vagrant user with sudo."""
    return pyinfra_cli.write_inventory(tmp_path / "inventory.py", [prepared.machine.host()])


def deployed(inventory: Path, **settings: Any) -> Result:
    """One run of deploy.py, with further settings, named without their prefix."""
    data = {f"kubenode_{name}": value for name, value in settings.items()}
    return pyinfra_cli.run(
        "-y", "-v", inventory, ROOT / "deploy.py", cwd=inventory.parent, data=data
    )


def pod_slice() -> str:
    """A cgroup as kubelet would make it for a burstable pod, with the systemd driver."""
    return (
        f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uuid.uuid4().hex}.slice"
    )


def changed(output: str) -> dict[str, str]:
    """What pyinfra's table of results says of one host: ``Success``, ``Error`` or ``No Change``."""
    rows = re.findall(r"^ *(Node \| .+?) {2,}1 +(\S+) +(\S+) +(\S+) *$", output, re.MULTILINE)
    words = ("Success", "Error", "No Change")
    return {
        name: next(word for word, count in zip(words, counts, strict=True) if count == "1")
        for name, *counts in rows
    }
