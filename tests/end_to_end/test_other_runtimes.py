"""Hosts of another runtime are refused before any change, and the message says who uses it.

CRI-O and cri-dockerd are in no registry of Debian's: their units here are stand-ins, with a process
that does nothing and a real socket.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import RunPyinfra, WriteInventory
from tests.end_to_end.test_prepare import DEPLOY, file_system
from tests.targets.container import Target
from tests.targets.fleet import Fleet

pytestmark = pytest.mark.targets

CRIO = """[Unit]
Description=stand-in for CRI-O
[Service]
RuntimeDirectory=crio
ExecStart=/usr/bin/systemd-socket-activate --listen=/run/crio/crio.sock /bin/cat
[Install]
WantedBy=multi-user.target
"""
CRI_DOCKERD = """[Unit]
Description=stand-in for cri-dockerd
Requires=cri-docker.socket
[Service]
ExecStart=/bin/cat
"""
CRI_DOCKERD_SOCKET = """[Unit]
Description=stand-in for cri-dockerd's socket
[Socket]
ListenStream=/run/cri-dockerd.sock
[Install]
WantedBy=sockets.target
"""
KUBELET_CONFIG = """apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///var/run/crio/crio.sock
"""
REMEDY = (
    "kubenode_runtime is containerd, and no second runtime comes beside another: set it to "
    "the one that shall stay, or drain the node and set kubenode_replace_runtime to True, and "
    "containerd takes the other's place"
)


def stand_in(target: Target, unit: str, text: str) -> None:
    """A unit that the package of another runtime would have brought."""
    target.write(f"/etc/systemd/system/{unit}", text)
    target.sh("systemctl daemon-reload")


def until(target: Target, condition: str) -> None:
    target.sh(f"for i in $(seq 50); do {condition} && exit 0; sleep 0.1; done; exit 1")


def state(target: Target) -> str:
    """What a deploy could change: files, packages, units, the runtime's process."""
    return file_system(target) + target.sh(
        "dpkg-query -W; cat /etc/crictl.yaml 2>&1; systemctl list-unit-files --no-legend;"
        " systemctl show -p MainPID -p ActiveState containerd.service crio.service"
    )


def test_a_host_of_another_runtime_is_refused_and_stays_as_it_is(
    targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    target = targets.start("trixie")
    hosts = inventory(target.host())

    def refused(message: str) -> None:
        before = state(target)
        result = run_pyinfra("-y", hosts, DEPLOY)
        assert result.returncode == 1, result.output
        assert f"{message}: {REMEDY}" in re.sub(r"\s+", " ", result.output), result.output
        assert state(target) == before

    # CRI-O runs, and kubelet and crictl use it
    stand_in(target, "crio.service", CRIO)
    target.sh("systemctl start crio")
    until(target, "[ -S /run/crio/crio.sock ]")
    target.write("/etc/crictl.yaml", "runtime-endpoint: unix:///var/run/crio/crio.sock\n")
    target.sh("mkdir -p /var/lib/kubelet")
    target.write("/var/lib/kubelet/config.yaml", KUBELET_CONFIG)
    refused(
        "CRI-O runs here (crio.service is active; "
        "kubelet and /etc/crictl.yaml point at /var/run/crio/crio.sock)"
    )
    foreseen = run_pyinfra("--dry", hosts, DEPLOY)
    assert foreseen.returncode == 1, foreseen.output
    assert "would fail: this host cannot be a node: CRI-O runs here" in foreseen.output

    # it is stopped, and comes back with the next boot
    target.sh("rm -r /etc/crictl.yaml /var/lib/kubelet; systemctl stop crio; systemctl enable crio")
    refused("CRI-O starts at boot here (crio.service is enabled)")
    target.sh("systemctl disable crio")

    # nothing of it but who points at it
    target.write("/etc/crictl.yaml", "runtime-endpoint: unix:///run/crio/crio.sock\n")
    refused("CRI-O is used here (/etc/crictl.yaml points at /run/crio/crio.sock)")
    target.sh("rm /etc/crictl.yaml")

    # cri-dockerd, which systemd starts by its socket
    stand_in(target, "cri-docker.service", CRI_DOCKERD)
    stand_in(target, "cri-docker.socket", CRI_DOCKERD_SOCKET)
    target.sh("systemctl start cri-docker.socket")
    refused("cri-dockerd runs here (cri-docker.socket is active)")
    target.sh("systemctl stop cri-docker.socket; rm -f /run/cri-dockerd.sock")

    # by hand, of no unit
    target.sh(
        "setsid systemd-socket-activate --listen=/run/cri-dockerd.sock /bin/cat"
        " >/dev/null 2>&1 </dev/null & echo $! >/run/stand-in.pid"
    )
    until(target, "[ -S /run/cri-dockerd.sock ]")
    refused("cri-dockerd seems to run here (/run/cri-dockerd.sock exists)")
    target.sh("kill $(cat /run/stand-in.pid); rm -f /run/cri-dockerd.sock")


def test_what_only_is_installed_is_a_warning_and_each_operation_refuses_what_runs(
    targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory, tmp_path: Path
) -> None:
    target = targets.start("bookworm")
    hosts = inventory(target.host())
    stand_in(target, "crio.service", CRIO)
    target.sh("install -m 755 /bin/true /usr/local/bin/crio")

    # Docker Engine brings a containerd and is no CRI runtime
    stand_in(target, "docker.service", "[Service]\nExecStart=/usr/bin/sleep infinity\n")
    target.sh("systemctl start docker")

    # control: nothing uses it
    result = run_pyinfra("-y", hosts, DEPLOY)
    assert result.returncode == 0, result.output
    assert "CRI-O is installed here (crio.service; the program crio)" in result.output
    assert target.sh("systemctl is-active containerd") == "active\n"

    # somebody sets it up later
    target.sh("systemctl start crio && systemctl stop containerd")
    until(target, "[ -S /run/crio/crio.sock ]")
    target.write("/etc/crictl.yaml", "runtime-endpoint: unix:///run/crio/crio.sock\n")
    operations = {
        "installed": "containerd.installed()",
        "configured": 'containerd.configured(cgroup_driver="cgroupfs")',
        "running": "containerd.running()",
    }
    before = state(target)
    for name, call in operations.items():
        deploy = tmp_path / f"{name}.py"
        deploy.write_text(f"from kubenode.operations import containerd\n\n{call}\n")
        alone = run_pyinfra("-y", hosts, deploy)
        assert alone.returncode == 1, alone.output
        assert "CRI-O runs here (crio.service is active; /etc/crictl.yaml points at" in re.sub(
            r"\s+", " ", alone.output
        ), alone.output
        assert state(target) == before, name

    # systemd does not answer: unknown is not absent
    target.sh("systemctl stop crio; rm /etc/crictl.yaml; systemctl start containerd")
    target.sh(
        "printf '#!/bin/sh\\nexit 1\\n' >/usr/local/bin/systemctl;"
        " chmod 755 /usr/local/bin/systemctl"
    )
    silent = run_pyinfra("-y", hosts, DEPLOY)
    assert silent.returncode == 1, silent.output
    assert "cannot tell whether another runtime runs here: systemd does not say" in silent.output
    assert target.try_sh("test -e /etc/crictl.yaml")[0] == 1
