"""Somebody else's project: the wheel from pip, a deploy of their own, facts on the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from tests import wheel
from tests.targets import pyinfra_cli
from tests.targets.fleet import Fleet

pytestmark = pytest.mark.targets

DEPLOY = """\
from pyinfra.operations import files

from kubenode.operations import kernel

files.put(name="Message of the day", src=__file__, dest="/etc/motd", user="root", mode="644")
kernel.modules(name="Modules for IPVS and overlay", modules=["overlay"])
kernel.sysctls(
    name="Forwarding",
    values={"net.ipv4.ip_forward": 1, "net.ipv4.conf.all.rp_filter": 0},
    persist_file="/etc/sysctl.d/90-router.conf",
)
"""


@pytest.fixture(scope="module")
def pyinfra(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pyinfra of an environment that has kubenode from its wheel, and nothing of this checkout."""
    folder = tmp_path_factory.mktemp("somebody-else")
    built = wheel.build(wheel.checkout(folder / "checkout"), folder / "dist")
    venv.create(folder / "environment", with_pip=False)
    python = folder / "environment" / "bin" / "python"
    wheel.run(
        sys.executable, "-m", "pip", "--python", python,
        "install", "--quiet", "--constraint", wheel.ROOT / "constraints.txt", built,
        cwd=folder,
    )  # fmt: skip
    return python.parent / "pyinfra"


def test_operations_in_another_deploy_and_facts_on_the_command_line(
    pyinfra: Path, targets: Fleet, tmp_path: Path
) -> None:
    target = targets.start("bookworm")
    (tmp_path / "deploy.py").write_text(DEPLOY)
    hosts = pyinfra_cli.write_inventory(tmp_path / "inventory.py", [target.host()])

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(pyinfra), *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def fact(name: str, *arguments: str) -> Any:
        answer = run("--json", hosts, "fact", f"kubenode.facts.{name}", *arguments)
        assert answer.returncode == 0, answer.stderr
        # pyinfra's name of a fact has its arguments in it
        (by_host,) = json.loads(answer.stdout).values()
        return by_host[target.host()[0]]

    first = run("-y", hosts, "deploy.py")
    assert first.returncode == 0, first.stderr
    assert target.read("/proc/sys/net/ipv4/conf/all/rp_filter") == "0\n"
    assert target.read("/etc/modules-load.d/k8s.conf") == "overlay\n"
    second = run("-y", hosts, "deploy.py")
    assert "Success" not in second.stderr.partition("Results")[0], second.stderr

    sysctl = fact("kernel.Sysctls", "keys=net.ipv4.ip_forward")["keys"]["net.ipv4.ip_forward"]
    assert (sysctl["live"], sysctl["live_state"]) == ("1", "set")
    assert (sysctl["boot"], sysctl["boot_state"]) == ("1", "set")
    assert sysctl["winner"]["file"] == "/etc/sysctl.d/90-router.conf"
    assert sysctl["winner"]["line"] == 2  # below the header
    module = fact("kernel.KernelModules", "modules=overlay,br_netfilter")["modules"]["overlay"]
    assert module["state"] in ("builtin", "loaded")
    assert module["requested_by"] == [{"file": "/etc/modules-load.d/k8s.conf", "line": 1}]
    assert fact("cgroup.Cgroups")["mode"] == "v2"
    assert fact("cgroup.CgroupDrivers") == {"components": {}, "counted": [], "agree": None}
    assert fact("containerd.Containerd")["installed"]["binary"] is None
    assert fact("platform.Platform")["os_id"] == "debian"

    page = subprocess.run(
        [str(pyinfra.parent / "kubenode"), "audit", str(hosts), "--format", "html"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert page.returncode == 1, page.stderr
    assert "containerd is not installed" in page.stdout

    # the whole job without a deploy file
    prepared = run("-y", hosts, "kubenode.node.prepare")
    assert prepared.returncode == 0, prepared.stderr
    assert target.cri().systemd_cgroup() == {"runc": True}


def test_a_fact_with_a_bad_argument_says_so(pyinfra: Path, targets: Fleet, tmp_path: Path) -> None:
    target = targets.start("bookworm")
    hosts = pyinfra_cli.write_inventory(tmp_path / "inventory.py", [target.host()])
    answer = pyinfra_cli.run(
        hosts, "fact", "kubenode.facts.kernel.Sysctls", "keys=a b", cwd=tmp_path
    )
    assert "'a b' is not a sysctl key" in answer.output
    assert "Traceback" not in answer.output
