"""Nodes with upstream's newer releases of containerd, where a folder has their programs.

Each is a binary without a package: kubenode configures it, keeps it running and audits it. How a
release comes onto a host, and goes from one to another, is tested with the sources.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kubenode.runtimes.containerd.config import parse
from tests import upstream
from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.end_to_end.test_prepare import assert_in_kubepods_slice
from tests.targets import kubenode_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet

pytestmark = [pytest.mark.targets, pytest.mark.upstream]

DEPLOY = ROOT / "deploy.py"
CONFIG = "/etc/containerd/config.toml"
PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr")


def put(target: Target, version: str) -> None:
    """Make this the target's containerd; it runs if it starts with the files that are there."""
    source = upstream.program(version).parent
    place = Path(f"/proc/{target.pid}/root/usr/local")
    target.sh(
        "systemctl stop containerd 2>/dev/null || true; mkdir -p /usr/local/lib/systemd/system"
    )
    for name in PROGRAMS:
        shutil.copy(source / name, place / "bin" / name)
    shutil.copy(source / "containerd.service", place / "lib/systemd/system")
    target.sh(
        "dpkg -s runc >/dev/null 2>&1 || { apt-get update -q && "
        "DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends runc; }; "
        "systemctl daemon-reload; systemctl start containerd || true"
    )


def order() -> list[str]:
    """From the newest, which takes the highest configuration version, down and up again."""
    versions = upstream.versions()
    return [*reversed(versions), *versions[-1:]]


def test_a_node_with_each_release_suits_kubernetes_1_37(
    targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    target = targets.start("trixie")
    hosts = inventory(target.host())
    for version in order():
        put(target, version)
        result = run_pyinfra("-y", hosts, DEPLOY, data={"kubenode_kubernetes_version": "1.37"})
        assert result.returncode == 0, f"{version}: {result.output}"
        assert (
            parse(target.sh("containerd config dump"), "dump")
            .settings.handlers["runc"]
            .systemd_cgroup
        )
        target.import_pause_image()
        with target.cri() as cri:
            assert_in_kubepods_slice(cri)
        again = run_pyinfra("-y", hosts, DEPLOY, data={"kubenode_kubernetes_version": "1.37"})
        assert again.returncode == 0, again.output
        audit = kubenode_cli.audit(hosts, "--for", "1.37")
        found = {
            check: f"{finding['state']}: {finding['found']}"
            for check, finding in audit.findings().items()
        }
        print(version, found)
        # upstream's support of 2.2 has ended
        found.pop("runtime.supported", None)
        of_containerd = ("containerd.", "kubernetes.", "runtime.", "cgroup-driver.", "crictl.")
        assert not {
            check: said for check, said in found.items() if check.startswith(of_containerd)
        }, version
        assert not any(said.startswith("fail") for said in found.values()), found


@pytest.mark.parametrize("version", upstream.versions()[-2:])
def test_another_socket_of_a_version_4_file_is_found(
    version: str, targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    target = targets.start("trixie")
    hosts = inventory(target.host())
    target.write(
        CONFIG,
        'version = 4\n[plugins."io.containerd.server.v1.grpc"]\n'
        "  address = '/run/containerd/other.sock'\n",
    )
    put(target, version)
    result = run_pyinfra("-y", hosts, DEPLOY)
    assert result.returncode == 0, result.output
    assert "unix:///run/containerd/other.sock" in target.read("/etc/crictl.yaml")
