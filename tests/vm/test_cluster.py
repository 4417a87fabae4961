"""A real cluster of two machines: one deploy, kubeadm init, kubeadm join, and a reboot of each.

Then, on the one that has no control plane: the driver moves on both sides and back, a static pod
shows where, and a configuration that kubelet does not take is undone.

Kubernetes' programs and a containerd that suits them are in no registry that CI reaches: the test
is left out unless ``KUBENODE_TEST_KUBERNETES`` names a folder with ``VERSION/kubelet``,
``kubeadm``, ``kube-apiserver``, ``kube-controller-manager`` and ``kube-scheduler``, and
``KUBENODE_TEST_CONTAINERD`` one with ``VERSION/containerd``. etcd and the CNI plugins are Debian's,
and images have one program each. kube-proxy, DNS and a network for pods of several nodes are not
kubenode's, and are not there.

.. code:: shell

    scripts/with-libvirt .venv/bin/python -m pytest -m vm --capture=no tests/vm/test_cluster.py
"""

from __future__ import annotations

import base64
import functools
import json
import os
import re
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.repositories import binaries, releases
from tests.repositories.kubernetes import REAL, KubernetesMirror
from tests.repositories.server import Server
from tests.soak.loops import say
from tests.targets import image_archive, pause_image, pyinfra_cli
from tests.targets.pyinfra_cli import Result
from tests.vm import box
from tests.vm.conftest import changed
from tests.vm.lab import Lab
from tests.vm.limited_pods import MANIFEST, WAIT_SECONDS, limited, limits, until
from tests.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.upstream(REAL, releases.VARIABLE)]

COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
CONFIG = "/var/lib/kubelet/config.yaml"
NETWORK = "10.244.0.0/16"

_CNI = {
    "cniVersion": "1.0.0",
    "name": "pods",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "ipMasq": True,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": NETWORK}]]},
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}
_INIT = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint:
  advertiseAddress: {address}
skipPhases: [addon/coredns, addon/kube-proxy]
patches:
  directory: /etc/kubernetes/patches
timeouts: {{controlPlaneComponentHealthCheck: 15m0s, kubeletHealthCheck: 10m0s, \
kubernetesAPICall: 5m0s}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v{release}
networking:
  podSubnet: {network}
# an emulated machine is too slow for leases of seconds, and there is nobody else to lead
controllerManager:
  extraArgs: [{{name: leader-elect, value: "false"}}]
scheduler:
  extraArgs: [{{name: leader-elect, value: "false"}}]
etcd:
  local:
    imageTag: {etcd}-0
    extraArgs: [{{name: heartbeat-interval, value: "1000"}}, \
{{name: election-timeout, value: "10000"}}]
"""


# what etcd 3.6 is told by kubeadm, and the one of Debian's 3.5 does not know
_ETCD = b"""\
#!/bin/sh
for each do
  shift
  case $each in
    --feature-gates=* | --watch-progress-notify-interval=*) ;;
    *) set -- "$@" "$each";;
  esac
done
exec /usr/bin/etcd "$@"
"""


class Api:
    """The API server, asked as kubeadm's administrator."""

    def __init__(self, control: Machine, address: str, folder: Path) -> None:
        self._url = f"https://{address}:6443"
        conf = control.read("/etc/kubernetes/admin.conf")
        for each in ("certificate-authority", "client-certificate", "client-key"):
            [encoded] = re.findall(rf"\b{each}-data: (\S+)", conf)
            (folder / each).write_bytes(base64.b64decode(encoded))
        self._context = ssl.create_default_context(cafile=str(folder / "certificate-authority"))
        self._context.load_cert_chain(folder / "client-certificate", folder / "client-key")

    def ask(self, path: str, sent: dict[str, Any] | None = None, verb: str | None = None) -> Any:
        """What it answers; OSError where it does not, or says no."""
        body = None if sent is None else json.dumps(sent).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._url}{path}", body, headers, method=verb)
        with urllib.request.urlopen(request, timeout=60, context=self._context) as answer:
            return json.load(answer)

    def is_ready(self, machine: Machine) -> bool:
        """Whether the node is Ready, by a kubelet that began after the machine's last boot."""
        node = self.ask(f"/api/v1/nodes/{name(machine)}")["status"]
        if {each["type"]: each["status"] for each in node["conditions"]}.get("Ready") != "True":
            return False
        boot = machine.read("/proc/sys/kernel/random/boot_id").strip()
        return bool(node["nodeInfo"]["bootID"] == boot)

    def run_pod(self, machine: Machine, image: str) -> bool:
        """Have a pod with a memory limit on a node; whether there is one now."""
        pod = limited(
            f"limited-{name(machine)}",
            image,
            nodeName=name(machine),
            automountServiceAccountToken=False,
        )
        try:
            return bool(self.ask("/api/v1/namespaces/default/pods", pod))
        except urllib.error.HTTPError as error:
            # an answer before this one was lost
            if error.code == HTTPStatus.CONFLICT:
                return True
            raise

    def remove_pod(self, machine: Machine) -> bool:
        """Take that pod away at once; whether it is gone."""
        path = f"/api/v1/namespaces/default/pods/limited-{name(machine)}?gracePeriodSeconds=0"
        try:
            self.ask(path, verb="DELETE")
        except urllib.error.HTTPError as error:
            return error.code == HTTPStatus.NOT_FOUND
        return False

    def runs(self, machine: Machine) -> bool:
        """Whether that pod's container runs, and was started since the machine's last boot."""
        path = f"/api/v1/namespaces/default/pods/limited-{name(machine)}"
        status = self.ask(path)["status"]
        started = [each["state"].get("running") for each in status.get("containerStatuses", ())]
        if started == [None] or not started:
            return False
        up = machine.sh('date -u -d "$(uptime -s)" +%Y-%m-%dT%H:%M:%SZ').strip()
        return bool(started[0]["startedAt"] >= up)


@functools.cache
def name(machine: Machine) -> str:
    """Of a machine, as kubelet registers it."""
    return machine.sh("hostname").strip()


def address(machine: Machine) -> str:
    """Of a machine, in the network that the machines share."""
    return machine.sh("ip -4 route get 192.0.2.1").split(" src ")[1].split()[0]


def release_of_kubernetes() -> str:
    """The newest one that the variable leads to."""
    found = Path(os.environ[REAL]).glob("*/kubelet")
    return max((path.parent.name for path in found), key=lambda text: text.split("."))


def etcd(folder: Path) -> tuple[str, image_archive.Files]:
    """Debian's etcd with the libraries it has: its version, and the files of an image."""
    files: dict[str, tuple[bytes, int]] = {}
    deb = binaries.fetched("trixie", "etcd-server")
    for package in (deb, binaries.fetched("trixie", "libc6")):
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    libraries = folder / "usr/lib/x86_64-linux-gnu"
    for each in ("libc.so.6", "libresolv.so.2", "libpthread.so.0", "libdl.so.2"):
        files[f"lib/x86_64-linux-gnu/{each}"] = ((libraries / each).read_bytes(), 0o755)
    loader = (libraries / "ld-linux-x86-64.so.2").read_bytes()
    files["lib64/ld-linux-x86-64.so.2"] = (loader, 0o755)
    files["usr/bin/etcd"] = ((folder / "usr/bin/etcd").read_bytes(), 0o755)
    files["usr/local/bin/etcd"] = (_ETCD, 0o755)
    files["bin/sh"] = (pause_image.static_busybox(), 0o755)
    return deb.name.split("_")[1].split("+")[0].split("-")[0], files


def give_images(machine: Machine, release: str, folder: Path, is_control: bool) -> str:
    """What kubeadm would pull; the pause image's name.

    + folder: for what is unpacked
    + is_control: whether the components of a control plane are for it too
    """
    version, of_etcd = etcd(folder)
    names = machine.sh(f"kubeadm config images list --kubernetes-version v{release}").split()
    command = "ctr -n k8s.io images import -"
    busybox = pause_image.static_busybox()
    for image in names:
        component = image.rpartition("/")[2].partition(":")[0]
        if component in COMPONENTS and is_control:
            program = (Path(os.environ[REAL]) / release / component).read_bytes()
            files = {f"usr/local/bin/{component}": (program, 0o755)}
            machine.load(image_archive.archive(image, files, [component]), command)
        elif component == "etcd" and is_control:
            image = f"{image.partition(':')[0]}:{version}-0"
            machine.load(image_archive.archive(image, of_etcd, ["etcd"]), command)
        elif component not in (*COMPONENTS, "etcd"):
            machine.load(pause_image.archive(image, busybox), command)
    return next(image for image in names if "/pause:" in image)


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    """A machine for the control plane, and one more."""
    lab = Lab("cluster", box.SUITES, print)
    lab.destroy()
    try:
        started = lab.up()
        yield started["trixie"], started["bookworm"]
    finally:
        lab.destroy()


def deployed(
    machines: tuple[Machine, ...], folder: Path, settings: dict[str, Any], code: int = 0
) -> Result:
    """One run of deploy.py over the machines, which ends with a code."""
    hosts = [(each.host()[0], {**each.host()[1], **settings}) for each in machines]
    inventory = pyinfra_cli.write_inventory(folder / "inventory.py", hosts)
    result = pyinfra_cli.run("-y", "-v", inventory, ROOT / "deploy.py", cwd=folder)
    assert result.returncode == code, result.output
    return result


def assert_nothing_changes(
    machines: tuple[Machine, ...], folder: Path, settings: dict[str, Any]
) -> None:
    """A run of deploy.py on each, which has nothing to do."""
    for machine in machines:
        result = deployed((machine,), folder, settings)
        assert set(changed(result.output).values()) == {"No Change"}, result.output


def test_two_machines_become_a_cluster_and_come_back(
    machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    control, other = machines
    release = release_of_kubernetes()
    minor = ".".join(release.split(".")[:2])
    served = tmp_path / "served"
    served.mkdir()
    runc = served / "runc"
    runc.write_bytes(releases.debians_runc("bookworm"))
    containerd = releases.of_upstream(served)[-1]
    with Server(served, control.gateway()) as server:
        settings = {
            "kubenode_kubernetes_version": minor,
            "kubenode_kubernetes_source": KubernetesMirror(server, [release]).source(),
            # a fresh machine has neither curl nor wget
            "kubenode_containerd_source": releases.stated(containerd, server.http, runc),
            "kubenode_containerd_fetched_by": "control",
            "kubenode_kubelet": {"containerLogMaxSize": "50Mi"},
        }
        deployed(machines, tmp_path, settings)
        assert_nothing_changes(machines, tmp_path, settings)

        say("images")
        for machine in machines:
            folder = tmp_path / machine.suite
            folder.mkdir()
            image = give_images(machine, release, folder, machine is control)
            machine.write("/etc/cni/net.d/10-pods.conflist", json.dumps(_CNI))
        version, _ = etcd(tmp_path / "trixie")

        said = control_plane(control, release, version)
        say(said)
        api = Api(control, address(control), tmp_path)
        join = control.sh("kubeadm token create --print-join-command").strip()
        # kubelet's settings of this node: without them kubeadm writes those of the cluster alone
        patches = "--patches /etc/kubernetes/patches"
        code, out, error = other.try_sh(f"{join} {patches} 2>&1", WAIT_SECONDS)
        say(out)
        assert code == 0, out + error
        for text in (said, out):
            assert not {line for line in text.splitlines() if "[WARNING" in line}, text

        for machine in machines:
            until(f"{machine.suite} is Ready", functools.partial(api.is_ready, machine))
            until(f"{machine.suite} has a pod", functools.partial(api.run_pod, machine, image))
        for machine in machines:
            until(f"{machine.suite} runs it", functools.partial(api.runs, machine))
            assert_in_its_slice(machine)
        assert_nothing_changes(machines, tmp_path, settings)

        for machine in (other, control):
            machine.reboot()
            until(f"{machine.suite} is Ready again", functools.partial(api.is_ready, machine))
            until(f"{machine.suite} runs the pod again", functools.partial(api.runs, machine))
            assert_in_its_slice(machine)
        assert_nothing_changes(machines, tmp_path, settings)

        until("the pod is gone", functools.partial(api.remove_pod, other))
        until("its cgroups are gone", lambda: not limits(other))
        assert_the_driver_moves(other, api, image, tmp_path, settings)
        assert_a_broken_configuration_is_undone(other, tmp_path, settings)
        until("it is Ready at last", functools.partial(api.is_ready, other))


def assert_the_driver_moves(
    machine: Machine, api: Api, image: str, folder: Path, settings: dict[str, Any]
) -> None:
    """On an idle node, to cgroupfs and back, in runtime and kubelet; a static pod shows it."""
    there = {**settings, "kubenode_cgroup_driver": "cgroupfs"}
    for own, other, root in (
        (there, settings, "/sys/fs/cgroup/kubepods/"),
        (settings, there, "/sys/fs/cgroup/kubepods.slice/"),
    ):
        deployed((machine,), folder, own)
        driver = own.get("kubenode_cgroup_driver", "systemd")
        say(f"both have {driver}")
        assert f"cgroupDriver: {driver}\n" in machine.read(CONFIG)
        until("it is Ready", functools.partial(api.is_ready, machine))
        machine.write(MANIFEST, json.dumps(limited("static", image)))
        # the pod's and the container's
        until("its static pod runs", lambda: len(limits(machine)) == 2)
        assert all(path.startswith(root) for path in limits(machine)), limits(machine)
        refused = deployed((machine,), folder, other, code=1)
        assert "containers of pods run with the" in " ".join(refused.output.split())
        assert f"cgroupDriver: {driver}\n" in machine.read(CONFIG)
        machine.sh(f"rm {MANIFEST}")
        until("the static pod is gone", lambda: not limits(machine))
    assert_nothing_changes((machine,), folder, settings)


def assert_a_broken_configuration_is_undone(
    machine: Machine, folder: Path, settings: dict[str, Any]
) -> None:
    """What only the kubelet itself finds wrong: it does not start, and the old file comes back."""
    before = machine.read(CONFIG)
    broken = {**settings["kubenode_kubelet"], "evictionHard": {"memory.available": "much"}}
    failed = deployed((machine,), folder, {**settings, "kubenode_kubelet": broken}, code=1)
    said = " ".join(failed.output.split())
    assert "kubelet did not come up with the new configuration, and" in said, failed.output
    assert machine.read(CONFIG) == before
    assert machine.sh("systemctl is-active kubelet") == "active\n"


def control_plane(control: Machine, release: str, etcd: str) -> str:
    """What kubeadm init says."""
    control.write(
        "/root/init.yaml",
        _INIT.format(address=address(control), release=release, network=NETWORK, etcd=etcd),
    )
    code, out, error = control.try_sh(
        "kubeadm init --config /root/init.yaml 2>&1", 2 * WAIT_SECONDS
    )
    assert code == 0, out + error
    return out


def assert_in_its_slice(machine: Machine) -> None:
    """The container with the limit is where kubelet looks for it, and so is every other one."""
    assert [path for path in limits(machine) if "/cri-containerd-" in path]
    assert all("/kubepods.slice/" in path for path in limits(machine)), limits(machine)
    everywhere = machine.sh("find /sys/fs/cgroup -type d -name 'cri-containerd-*'").splitlines()
    assert all("/kubepods.slice/" in path for path in everywhere), everywhere
