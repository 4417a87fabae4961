"""Hosts that packages cannot change: refused before anything is written, but audited."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.end_to_end.test_prepare import file_system
from tests.targets import kubenode_cli
from tests.targets.fleet import Fleet

pytestmark = pytest.mark.targets

DEPLOY = ROOT / "deploy.py"

OPERATIONS = (
    ("containerd.installed",),
    ("packages.installed", "packages=jq"),
    ("packages.repository", "repository=docker"),
    ("cni.plugins",),
)

READ_ONLY = "mount --bind /usr /usr && mount -o remount,bind,ro /usr"
OSTREE = "touch /run/ostree-booted"
FLATCAR = (
    "printf 'ID=flatcar\\nPRETTY_NAME=\"Flatcar 4459.2.1\"\\n' >/run/other && "
    "mount --bind /run/other $(readlink -f /etc/os-release)"
)


def test_a_host_that_packages_cannot_change_is_refused_and_audited(
    targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    target = targets.start("trixie")
    hosts = inventory(target.host())
    for script, undo, reason in (
        (READ_ONLY, "umount -l /usr", "this host cannot be a node: its /usr is mounted read-only"),
        (OSTREE, "rm /run/ostree-booted", "it is a whole image, ostree (rpm-ostree, bootc)"),
        (FLATCAR, "umount $(readlink -f /etc/os-release)", "it is a whole image, Flatcar"),
    ):
        target.sh(script)
        before = file_system(target)
        refused = run_pyinfra("-y", hosts, DEPLOY)
        assert refused.returncode == 1, refused.output
        assert reason in refused.output, refused.output
        assert "Traceback" not in refused.output
        dry = run_pyinfra("--dry", hosts, DEPLOY)
        assert (dry.returncode, reason in dry.output) == (1, True), dry.output
        finding = kubenode_cli.audit(hosts).findings()["platform.packages"]
        assert finding["state"] == "warn"
        assert reason.rpartition(": ")[2] in finding["found"]
        assert file_system(target) == before
        for name, *arguments in OPERATIONS:
            alone = run_pyinfra("-y", hosts, f"kubenode.operations.{name}", *arguments)
            assert alone.returncode == 1, alone.output
            assert "this host cannot be changed by packages" in alone.output, alone.output
        assert file_system(target) == before
        target.sh(undo)
        # where it can be changed again nothing of this is said
        assert run_pyinfra("--dry", hosts, DEPLOY).returncode == 0
        assert "platform.packages" not in kubenode_cli.audit(hosts).findings()
