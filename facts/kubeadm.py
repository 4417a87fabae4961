"""What kubeadm makes on a host: a node that has joined has it, another must not have it yet."""

from __future__ import annotations

from typing import Literal, TypedDict

from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading

PROBE = "kubeadm"

KUBERNETES = "/etc/kubernetes"
KUBELET_CONF = f"{KUBERNETES}/kubelet.conf"
BOOTSTRAP_CONF = f"{KUBERNETES}/bootstrap-kubelet.conf"
CA = f"{KUBERNETES}/pki/ca.crt"
MANIFESTS = tuple(
    f"{KUBERNETES}/manifests/{name}.yaml"
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
)
ETCD_DATA = "/var/lib/etcd"

_FILES = (KUBELET_CONF, BOOTSTRAP_CONF, CA, *MANIFESTS)


class KubeadmShape(TypedDict):
    """What :class:`Kubeadm` returns."""

    files: dict[str, bool | None]
    """Whether each exists, by path: kubelet's two kubeconfig files, the cluster's CA, the manifests
    of the control plane's four static pods. A link that leads nowhere does not. None: its directory
    cannot be searched."""
    etcd_data: Literal["missing", "empty", "used"] | None
    """``/var/lib/etcd``; None when it cannot be read."""


def script() -> probe.Script:
    """The probe's script: no process is started."""
    return probe.Script(
        host_script.read(__file__, "kubeadm.sh", FILES=" ".join(_FILES), ETCD_DATA=ETCD_DATA)
    )


def parse(reading: Reading) -> KubeadmShape:
    """The shape from what the host sent."""
    etcd: Literal["missing", "empty", "used"] | None = "missing"
    if ETCD_DATA in reading.unreadable:
        etcd = None
    elif said := reading.value(ETCD_DATA):
        etcd = "empty" if said == "empty" else "used"
    return {
        "files": {
            path: None if path in reading.unreadable else reading.value(path) is not None
            for path in _FILES
        },
        "etcd_data": etcd,
    }


class Kubeadm(ProbeFact[KubeadmShape]):
    """
    Returns what is there of the files that kubeadm makes (:class:`KubeadmShape`).

    .. code:: python

        {
            "files": {"/etc/kubernetes/kubelet.conf": True, "/etc/kubernetes/pki/ca.crt": None},
            "etcd_data": "missing",
        }

    Their content is not read: kubeconfig files and keys are secrets.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.kubeadm.Kubeadm
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: dict[str, Reading]) -> KubeadmShape:
        return parse(readings[PROBE])
