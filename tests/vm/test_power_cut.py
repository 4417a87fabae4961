"""The machine is killed in the middle of a deploy: a plain rerun converges after the next start."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.soak import loops
from tests.targets import pyinfra_cli
from tests.vm.conftest import OWN_FILES, Prepared, changed
from tests.vm.machine import Machine

_SECONDS = 600


@dataclass(frozen=True)
class Point:
    """A moment of a deploy: a program of the host, and what it is about to do."""

    name: str
    program: str
    """Path of the program that stops there."""
    arguments: str
    """A shell pattern of its arguments."""


_UNPACKED = Point(
    "dpkg configures containerd", "/usr/bin/deb-systemd-helper", "*containerd.service*"
)
_UNPROVEN = Point("it is in place and not proven", "/usr/bin/systemctl", "restart containerd*")
# the power is lost at every write by tests/end_to_end/test_power_loss.py
INSTALLING = loops.choice(
    [_UNPACKED],
    [
        _UNPACKED,
        Point("the modules' file is staged", "/usr/bin/mv", "*/etc/modules-load.d/k8s.conf"),
    ],
)
CONFIGURING = loops.choice(
    [_UNPROVEN],
    [
        Point("the new configuration is staged", "/usr/bin/mv", "*/etc/containerd/config.toml"),
        _UNPROVEN,
    ],
)
PAUSE_IMAGE = "registry.example.net/pause:cut"


def stop_at(machine: Machine, point: Point) -> None:
    """Let a program of the machine stop where the power is to be cut; the boot undoes it."""
    machine.write(
        "/run/cut/program",
        f'#!/bin/sh\ncase "$*" in {point.arguments.replace(" ", chr(92) + " ")})\n'
        "  : >/run/cut/reached; exec sleep 600;;\nesac\n"
        f'exec /run/cut/real "$@"\n',
    )
    machine.sh(
        f"cp -p {point.program} /run/cut/real && chmod 755 /run/cut/program\n"
        # /run is mounted noexec on some
        "mount -o remount,exec /run\n"
        f"mount --bind /run/cut/program {point.program}"
    )


def cut_at(machine: Machine, point: Point, inventory: Path, data: Mapping[str, str]) -> None:
    """Run deploy.py, kill the machine when it is there, and start it again."""
    stop_at(machine, point)
    deploy = subprocess.Popen(
        [
            *(sys.executable, "-m", "pyinfra"),
            *(f"--data={key}={value}" for key, value in data.items()),
            *("-y", str(inventory), str(ROOT / "deploy.py")),
        ],
        cwd=inventory.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + _SECONDS
        while machine.try_sh("[ -e /run/cut/reached ]")[0] != 0:
            if deploy.poll() is not None or time.monotonic() > deadline:
                deploy.kill()
                output = deploy.communicate()[0]
                pytest.fail(f"the deploy never came to: {point.name}\n{output}")
            time.sleep(0.2)
        machine.cut_power()
    finally:
        # it would wait for an answer
        deploy.kill()
        deploy.wait()
    machine.start()


def own_files(machine: Machine) -> dict[str, str | None]:
    """The content of the files that deploy.py writes, None for one that is not there."""
    return {
        path: machine.read(path) if machine.try_sh(f"[ -e {path} ]")[0] == 0 else None
        for path in OWN_FILES
    }


@pytest.mark.parametrize("vm_lab", ["bookworm"], indirect=True)
def test_while_a_fresh_machine_becomes_a_node(
    prepared: Prepared, fresh: Machine, vm_inventory: Path
) -> None:
    nothing: dict[str, str | None] = dict.fromkeys(OWN_FILES)
    converges_after(INSTALLING, fresh, vm_inventory, {}, [nothing, prepared.originals])
    assert fresh.sh("dpkg --audit") == ""
    assert own_files(fresh) == prepared.files


@pytest.mark.parametrize("vm_lab", ["trixie"], indirect=True)
def test_while_containerds_configuration_is_swapped(
    prepared: Prepared, node: Machine, vm_inventory: Path
) -> None:
    data = {"kubenode_pause_image": PAUSE_IMAGE}
    converges_after(CONFIGURING, node, vm_inventory, data, [prepared.files])
    with node.cri() as cri:
        assert cri.pause_image() == PAUSE_IMAGE


def converges_after(
    points: Sequence[Point],
    machine: Machine,
    inventory: Path,
    data: Mapping[str, str],
    before: Sequence[Mapping[str, str | None]],
) -> None:
    """Cut the power at each point, of one rerun after the other; then let one run to its end.

    + before: what the files are before deploy.py writes them, the package's installation included
    """
    seen = {}
    for point in points:
        cut_at(machine, point, inventory, data)
        seen[point.name] = own_files(machine)
    deploy = partial(
        pyinfra_cli.run, "-y", inventory, ROOT / "deploy.py", cwd=inventory.parent, data=data
    )
    rerun = deploy()
    assert rerun.returncode == 0, rerun.output
    again = deploy()
    assert set(changed(again.output).values()) == {"No Change"}, again.output
    after = own_files(machine)
    for name, files in seen.items():
        for path, text in files.items():
            whole = [moment[path] for moment in [*before, after]]
            assert text in whole, f"{path} was half-written when {name}"
    # nothing of a change is left over
    assert machine.sh("find /etc -name '.*.kubenode*' -o -name '*.kubenode-unproven'") == ""
    assert machine.sh("systemctl is-active containerd") == "active\n"
