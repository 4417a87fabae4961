"""What kubelet and kubeadm use, installed on real hosts as far as it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubenode.kubelet.prerequisites import NETWORK_MANAGER
from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.end_to_end.test_package_repositories import nothing_changed
from tests.soak import loops
from tests.targets import image
from tests.targets.fleet import Fleet

pytestmark = [pytest.mark.targets, pytest.mark.soak]

# what kubeadm 1.31 looks for, by the page of that release: another list than kubenode's own
PROGRAMS = (
    "conntrack", "ebtables", "ethtool", "ip", "iptables", "losetup", "mount", "nsenter", "socat",
    "tc", "touch", "umount",
)  # fmt: skip


@pytest.mark.parametrize("suite", loops.choice(["trixie"], image.SUITES))
def test_a_minimal_host_gets_what_it_lacks_and_nothing_twice(
    suite: str, tmp_path: Path, targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    target = targets.start(suite)
    hosts = inventory(target.host())
    deploy = tmp_path / "deploy.py"
    deploy.write_text(
        "from kubenode.operations import packages\n"
        "packages.prerequisites(kubernetes_version='1.31')\n"
    )
    looks = "; ".join(f"command -v {name} >/dev/null || echo {name}" for name in PROGRAMS)
    lacks = target.sh(looks).split()
    assert {"conntrack", "ethtool", "socat"} <= set(lacks)
    # a program counts, not a package's name
    target.sh("printf '#!/bin/sh\\n' >/usr/local/bin/socat; chmod 755 /usr/local/bin/socat")
    target.sh("cp /usr/local/bin/socat /usr/sbin/NetworkManager")

    dry = run_pyinfra("--dry", "--diff", hosts, deploy)
    assert dry.returncode == 0, dry.output
    assert "conntrack is missing" in dry.output
    assert f"create {NETWORK_MANAGER}" in dry.output
    assert set(target.sh(looks).split()) == set(lacks) - {"socat"}

    first = run_pyinfra("-y", hosts, deploy)
    assert first.returncode == 0, first.output
    assert target.sh(looks).split() == []
    assert "socat" not in target.sh("dpkg-query -W -f '${Package}\\n'").split()
    assert "interface-name:cni*" in target.read(NETWORK_MANAGER)
    again = run_pyinfra("-y", "-v", hosts, deploy)
    assert nothing_changed(again), again.output
    assert "kube-proxy use are there" in again.output

    # its package is installed, so only somebody can put it back
    target.sh("mv $(command -v conntrack) /root/")
    gone = run_pyinfra("-y", hosts, deploy)
    assert gone.returncode == 1
    assert "conntrack: missing, and what has it is installed (conntrack)" in gone.output


def test_prepare_does_it_for_a_release_and_an_image_is_refused_by_name(
    targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory, tmp_path: Path
) -> None:
    target = targets.start("trixie")
    name, data = target.host()
    image = tmp_path / "image.py"
    image.write_text("from kubenode.operations import packages\npackages.prerequisites()\n")
    os_release = target.read("/usr/lib/os-release")
    target.write("/usr/lib/os-release", os_release.replace("ID=debian", "ID=flatcar"))
    before = target.sh("dpkg-query -W")
    refused = run_pyinfra("-y", inventory((name, data)), image)
    assert refused.returncode == 1
    assert "cannot be installed: it is a whole image, Flatcar" in refused.output, refused.output
    assert target.sh("dpkg-query -W") == before
    target.write("/usr/lib/os-release", os_release)

    plain = run_pyinfra("--dry", inventory((name, data)), ROOT / "deploy.py")
    assert "conntrack" not in plain.output
    hosts = inventory((name, {**data, "kubenode_kubernetes_version": "1.36",
                              "kubenode_containerd_version": "1.7"}))  # fmt: skip
    first = run_pyinfra("-y", hosts, ROOT / "deploy.py")
    assert first.returncode == 0, first.output
    assert target.sh("command -v conntrack socat iptables").count("/") >= 3
    second = run_pyinfra("-y", "-v", hosts, ROOT / "deploy.py")
    assert "kube-proxy use are there" in second.output
    audit = run_pyinfra("-y", hosts, ROOT / "audit.py")
    assert "machine.programs" not in audit.output, audit.output
