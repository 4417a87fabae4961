"""Modules and sysctls on real hosts: what would undo them at boot is found and named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kubenode.files.exact_text import bytes_of
from tests.conftest import RunPyinfra, WriteInventory
from tests.targets.container import Target
from tests.targets.fleet import Fleet

pytestmark = pytest.mark.targets

LATER = "/etc/sysctl.d/zz-cis.conf"
HARDENING = "# CIS 3.1.1\nnet.ipv4.ip_forward = 0\nnet.ipv4.conf.all.log_martians = 1\n"


@pytest.fixture
def target(targets: Fleet) -> Target:
    """These rules are not the distribution's: one suite is enough."""
    return targets.start("trixie")


@pytest.fixture
def kernel_deploy(tmp_path: Path) -> Path:
    """A deploy of the kernel part alone, as in somebody else's project."""
    deploy = tmp_path / "kernel_deploy.py"
    deploy.write_text(
        "from pyinfra import host\n"
        "from kubenode.operations import kernel\n"
        'kernel.modules(modules=host.data.get("modules", ["overlay"]))\n'
        'override = host.data.get("override", False)\n'
        'kernel.sysctls(values={"net.ipv4.ip_forward": 1}, override=override)\n'
    )
    return deploy


def test_a_later_file_with_the_opposite_value_fails_the_host_by_name(
    target: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory, kernel_deploy: Path
) -> None:
    target.write(LATER, HARDENING)
    result = run_pyinfra("-y", inventory(target.host()), kernel_deploy)
    assert result.returncode == 1
    assert f"{LATER}:2" in result.output
    assert "Traceback" not in result.output
    assert target.try_sh("ls /etc/sysctl.d/k8s.conf")[0] != 0
    assert target.read(LATER) == HARDENING


def test_override_disables_the_line_with_a_mark_and_a_backup(
    target: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory, kernel_deploy: Path
) -> None:
    target.write(LATER, HARDENING)
    name, data = target.host()
    hosts = inventory((name, {**data, "override": True}))
    assert run_pyinfra("-y", hosts, kernel_deploy).returncode == 0

    lines = target.read(LATER).splitlines()
    assert lines[0] == "# CIS 3.1.1"
    assert lines[1].startswith("# disabled by kubenode")
    assert "net.ipv4.conf.all.log_martians = 1" in lines
    assert HARDENING in [
        target.read(path) for path in target.sh(f"ls {LATER}.kubenode-backup").split()
    ]

    again = run_pyinfra("-y", hosts, kernel_deploy)
    assert "Success" not in again.output.partition("Results")[0], again.output
    target.sh("echo 0 >/proc/sys/net/ipv4/ip_forward")
    target.reboot()
    assert target.read("/proc/sys/net/ipv4/ip_forward") == "1\n"


def test_without_our_file_the_boot_does_what_the_other_file_says(target: Target) -> None:
    """Control: the file of the tests above does win when nobody stops it."""
    target.write(LATER, HARDENING)
    target.write("/etc/sysctl.d/k8s.conf", "net.ipv4.ip_forward = 1\n")
    target.reboot()
    assert target.read("/proc/sys/net/ipv4/ip_forward") == "0\n"


def test_a_blacklisted_module_fails_the_host_by_name(
    target: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory, kernel_deploy: Path
) -> None:
    target.write("/etc/modprobe.d/site.conf", "# no\nblacklist kubenode_test_module\n")
    name, data = target.host()
    result = run_pyinfra(
        "-y",
        inventory((name, {**data, "modules": ["overlay", "kubenode-test-module"]})),
        kernel_deploy,
    )
    assert result.returncode == 1
    assert "blacklisted" in result.output
    assert "/etc/modprobe.d/site.conf:2" in result.output
    assert target.try_sh("ls /etc/modules-load.d/k8s.conf")[0] != 0


def test_a_module_nobody_has_fails_the_host(
    target: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory, kernel_deploy: Path
) -> None:
    name, data = target.host()
    result = run_pyinfra(
        "-y", inventory((name, {**data, "modules": ["kubenode_test_module"]})), kernel_deploy
    )
    assert result.returncode == 1
    assert "kubenode_test_module" in result.output
    assert "Traceback" not in result.output
    assert target.try_sh("ls /etc/modules-load.d/k8s.conf")[0] != 0


def test_pyinfras_json_has_a_files_every_byte(
    target: Target, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    path = "/etc/modules-load.d/k8s.conf"
    target.sh(f"printf '# caf\\351 \\377\\noverlay\\n' >{path}")
    hosts = inventory(target.host())
    fact = (
        "fact",
        "kubenode.facts.kernel.KernelModules",
        "modules=overlay",
        f"persist_file={path}",
    )
    result = run_pyinfra("--json", hosts, *fact)
    assert result.returncode == 0, result.output
    text = re.search(r'"text": ("(?:[^"\\]|\\.)*")', result.output)
    assert text, result.output
    assert bytes_of(json.loads(text[1])) == b"# caf\xe9 \xff\noverlay\n"
    # without --json it is printed for people
    assert run_pyinfra(hosts, *fact).returncode == 0
