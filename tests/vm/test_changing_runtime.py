"""kubelet itself follows a node's runtime: containerd, Docker Engine, CRI-O, and containerd again.

kubelet is in no registry that CI reaches: the test is left out unless KUBENODE_TEST_KUBERNETES
names a folder with ``VERSION/kubelet``. It runs without a cluster, for static pods alone. CRI-O
and cri-dockerd have to be real too (KUBENODE_TEST_CRIO, KUBENODE_TEST_CRI_DOCKERD): the stand-in of
cri-dockerd has no containers in pods.

.. code:: shell

    scripts/with-libvirt .venv/bin/python -m pytest -m vm -s tests/vm/test_changing_runtime.py
"""

from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests import real_crio
from tests.conftest import ROOT
from tests.end_to_end import crio_hosts, docker_hosts
from tests.end_to_end.crio_hosts import PAUSE_IMAGE
from tests.repositories import cri_dockerd
from tests.repositories.kubernetes import REAL, KubernetesMirror
from tests.repositories.server import Server
from tests.soak.loops import say
from tests.targets import pyinfra_cli
from tests.targets.pyinfra_cli import Result
from tests.vm.conftest import FRESH, changed
from tests.vm.lab import Lab
from tests.vm.limited_pods import MANIFEST, limited, limits, until
from tests.vm.machine import Machine

pytestmark = [
    pytest.mark.vm,
    pytest.mark.upstream(REAL, real_crio.VARIABLE, cri_dockerd.VARIABLE),
]

CONFIG = "/var/lib/kubelet/config.yaml"
_KUBELET = f"""\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {{anonymous: {{enabled: true}}, webhook: {{enabled: false}}}}
authorization: {{mode: AlwaysAllow}}
cgroupDriver: systemd
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
staticPodPath: {os.path.dirname(MANIFEST)}
"""
_ALONE = f"""\
[Service]
ExecStart=
ExecStart=/usr/bin/kubelet --config={CONFIG} --hostname-override=node
"""
SCOPES = {"containerd": "cri-containerd-", "docker": "docker-", "crio": "crio-"}
"""What each runtime calls a container's unit, before its id."""
SOCKETS = {
    "containerd": "/run/containerd/containerd.sock",
    "docker": "/run/cri-dockerd.sock",
    "crio": "/run/crio/crio.sock",
}


@pytest.mark.parametrize("vm_lab", ["trixie"], indirect=True)
def test_kubelet_follows_each_change_and_runs_its_pod(
    vm_lab: tuple[Lab, Machine], tmp_path: Path
) -> None:
    machine = vm_lab[1]
    machine.restore(FRESH)
    machine.sh("apt-get -qq update; apt-get -qq install -y --no-install-recommends iptables")
    crio_hosts.give_needs(machine)
    served = tmp_path / "served"
    served.mkdir()
    with Server(served, machine.gateway()) as server, crio_hosts.images(server):
        settings = settings_of(server, tmp_path)
        deployed(machine, tmp_path, settings["containerd"])
        crio_hosts.images_from(machine, server)
        machine.load_image(PAUSE_IMAGE, "ctr -n k8s.io images import -")
        machine.write(CONFIG, _KUBELET)
        machine.write("/etc/systemd/system/kubelet.service.d/20-alone.conf", _ALONE)
        machine.sh(
            "systemctl daemon-reload; systemctl enable --now kubelet; systemctl restart kubelet"
        )
        assert_it_runs_a_pod(machine, "containerd")

        for runtime in ("docker", "crio", "docker", "containerd"):
            own = {**settings[runtime], "kubenode_replace_runtime": True}
            refused = deployed(machine, tmp_path, own, code=1)
            assert "drain the node" in " ".join(refused.output.split()), refused.output
            machine.sh(f"rm {MANIFEST}")
            until("its static pod is gone", lambda: not limits(machine))
            deployed(machine, tmp_path, own)
            assert f"unix://{SOCKETS[runtime]}\n" in machine.read(CONFIG)
            if runtime == "docker":
                machine.load_image(PAUSE_IMAGE)
            assert_it_runs_a_pod(machine, runtime)
            assert_nothing_changes(machine, tmp_path, settings[runtime])
            # by itself, with no other runtime that serves
            machine.reboot()
            until("its static pod runs again", functools.partial(runs, machine, runtime))
            assert_nothing_changes(machine, tmp_path, settings[runtime])
            for other, socket in SOCKETS.items():
                # Docker Engine works by containerd
                serves = other == runtime or (other, runtime) == ("containerd", "docker")
                assert (machine.try_sh(f"test -S {socket}")[0] == 0) == serves, other


def settings_of(server: Server, folder: Path) -> dict[str, dict[str, Any]]:
    """What makes the machine one of each runtime, by its name."""
    releases = [path.parent.name for path in Path(os.environ[REAL]).glob("*/kubelet")]
    release = max(releases, key=lambda text: [int(part) for part in text.split(".")])
    shared = {
        "kubenode_kubernetes_version": release,
        "kubenode_kubernetes_source": KubernetesMirror(server, [release]).source(),
        "kubenode_pause_image": PAUSE_IMAGE,
    }
    return {
        # Debian's, which is older than what this Kubernetes wants
        "containerd": {**shared, "kubenode_containerd_version": "1.7"},
        "docker": {
            **shared,
            "kubenode_runtime": "docker",
            "kubenode_cri_dockerd_source": docker_hosts.source(folder),
        },
        "crio": {
            **shared,
            "kubenode_runtime": "crio",
            "kubenode_crio_source": crio_hosts.bundle_source(folder),
        },
    }


def deployed(machine: Machine, folder: Path, settings: dict[str, Any], code: int = 0) -> Result:
    """One run of deploy.py, which ends with a code."""
    name, own = machine.host()
    hosts = pyinfra_cli.write_inventory(folder / "inventory.py", [(name, {**own, **settings})])
    result = pyinfra_cli.run("-y", "-v", hosts, ROOT / "deploy.py", cwd=folder)
    assert result.returncode == code, result.output
    return result


def assert_nothing_changes(machine: Machine, folder: Path, settings: dict[str, Any]) -> None:
    """A run of deploy.py, which has nothing to do."""
    result = deployed(machine, folder, settings)
    assert set(changed(result.output).values()) == {"No Change"}, result.output


def scopes(machine: Machine, runtime: str) -> list[str]:
    """The units with the limit that are a container's; crun has a cgroup in its own."""
    found = re.findall(rf"^(.*/{SCOPES[runtime]}\w+\.scope)/", "\n".join(limits(machine)), re.M)
    return sorted(set(found))


def runs(machine: Machine, runtime: str) -> bool:
    """Whether the static pod's container runs."""
    return len(scopes(machine, runtime)) == 1


def assert_it_runs_a_pod(machine: Machine, runtime: str) -> None:
    """kubelet has this runtime run a static pod, in the slice where kubelet has the pod."""
    pod = limited("static", PAUSE_IMAGE, hostNetwork=True)
    machine.write(MANIFEST, json.dumps(pod))
    until(f"a static pod runs by {runtime}", functools.partial(runs, machine, runtime))
    [scope] = scopes(machine, runtime)
    assert re.match(
        r"/sys/fs/cgroup/kubepods\.slice/kubepods-burstable\.slice/"
        rf"kubepods-burstable-pod\w+\.slice/{SCOPES[runtime]}\w+\.scope$",
        scope,
    ), scope
    say(scope)
