"""Debian's needrestart and unattended-upgrades, asked what they would do to a held runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.repositories.docker_mirror import DockerMirror
from tests.repositories.server import Server
from tests.targets import kubenode_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet

pytestmark = pytest.mark.targets

DEPLOY = ROOT / "deploy.py"
APT = "/etc/apt/apt.conf.d/52kubenode-containerd.conf"
NEEDRESTART = "/etc/needrestart/conf.d/kubenode-containerd.conf"
INSTALL = (
    "apt-get update -qq && DEBIAN_FRONTEND=noninteractive "
    "apt-get install -qq -y --no-install-recommends"
)
LIBRARIES_REPLACED = (
    "for each in $(ldd /usr/bin/containerd | grep -o '/[^ ]*libc[.]so[^ ]*'); do "
    "real=$(readlink -f $each); cp -p $real $real.new; mv $real.new $real; done"
)


def main_pid(target: Target) -> str:
    return target.sh("systemctl show -p MainPID --value containerd").strip()


def test_needrestart_leaves_a_held_runtime_alone(
    targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    target = targets.start("trixie")
    hosts = inventory(target.host())
    # it is installed later than the runtime, and obeys
    assert run_pyinfra("-y", hosts, DEPLOY).returncode == 0
    target.sh(f"{INSTALL} needrestart")
    assert "runtime.left-alone" not in kubenode_cli.audit(hosts).findings()

    before = main_pid(target)
    target.sh(LIBRARIES_REPLACED)
    said = target.sh("needrestart -v -r a -l 2>&1")
    deferred = said.partition("Service restarts being deferred:")[2]
    assert "systemctl restart containerd.service" in deferred, said
    assert main_pid(target) == before

    # the control: without its file
    target.sh(f"rm {NEEDRESTART}")
    finding = kubenode_cli.audit(hosts).findings()["runtime.left-alone"]
    assert (finding["state"], "containerd.service" in finding["found"]) == ("warn", True)
    target.sh("needrestart -r a -l")
    assert main_pid(target) != before

    again = run_pyinfra("-y", hosts, DEPLOY)
    assert f"create {NEEDRESTART}" in again.output
    assert "runtime.left-alone" not in kubenode_cli.audit(hosts).findings()
    settled = run_pyinfra("-y", hosts, DEPLOY)
    assert "create" not in settled.output


def test_unattended_upgrades_leaves_a_package_alone_that_is_no_longer_held(
    targets: Fleet,
    run_pyinfra: RunPyinfra,
    inventory: WriteInventory,
    package_server: Server,
    tmp_path: Path,
) -> None:
    target = targets.start("trixie")
    target.sh(f"{INSTALL} unattended-upgrades")
    target.sh(
        "echo 'Unattended-Upgrade::Origins-Pattern { \"origin=*\"; };' "
        ">/etc/apt/apt.conf.d/60all-origins"
    )
    mirror = DockerMirror(package_server, "trixie", ["1.7", "2.1"])
    deploy = tmp_path / "deploy.py"
    deploy.write_text(
        "from kubenode.operations import containerd, packages\n"
        "from kubenode.packages.source import Repository\n"
        f"source = Repository(**{dict(mirror.fields())!r})\n"
        'packages.installed("containerd.io", repository=source, version="1.7")\n'
    )
    hosts = inventory(target.host())
    first = run_pyinfra("-y", hosts, deploy)
    assert first.returncode == 0, first.output
    own = APT.replace("containerd.", "containerd.io.")
    assert "containerd.service" in target.sh(
        f"cat {NEEDRESTART.replace('containerd.', 'containerd.io.')}"
    ).replace("[.]", ".")
    assert "Package-Blacklist" in target.sh(f"cat {own}")

    target.sh("apt-mark unhold containerd.io")
    said = unattended(target)
    assert "containerd.io" not in said, said
    # the control: without its file
    target.sh(f"mv {own} /root")
    assert "containerd.io" in unattended(target)
    target.sh(f"mv /root/{own.rpartition('/')[2]} {own}")

    again = run_pyinfra("-y", hosts, deploy)
    assert "hold containerd.io" in again.output
    assert "No changes" in run_pyinfra("-y", hosts, deploy).output
    assert target.sh("apt-mark showhold").split() == ["containerd.io"]


def unattended(target: Target) -> str:
    """The line that names what it would upgrade; it has to be there."""
    said = target.sh("unattended-upgrade --dry-run -v 2>&1")
    lines = [line for line in said.splitlines() if "that will be upgraded" in line]
    return "".join(lines) or (
        "" if "No packages found that can be upgraded" in said else f"containerd.io? {said}"
    )
