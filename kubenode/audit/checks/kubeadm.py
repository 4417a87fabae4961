"""What an earlier cluster left, where the node has yet to join one."""

from __future__ import annotations

from collections.abc import Callable

from kubenode.audit.checks.check import (
    Check,
    Evidence,
    Subject,
    Verdict,
    met,
    not_applicable,
    unknown,
    violated,
)
from kubenode.audit.checks.references import ETCD_PORT
from kubenode.facts import kubeadm

_RESET = "kubeadm reset, where nothing of it is needed any more"
_SOURCES = (
    "https://kubernetes.io/docs/reference/setup-tools/kubeadm/kubeadm-reset/",
    "https://kubernetes.io/docs/reference/setup-tools/kubeadm/implementation-details/",
)


def has_joined(subject: Subject) -> bool | None:
    """Whether the host is a node already: kubelet has its configuration, and runs or has a
    kubeconfig file. None when that is unknown."""
    kubelet = subject.kubelet
    if kubelet["config"] is None:
        return False
    if kubelet["active"]:
        return True
    return subject.kubeadm["files"][kubeadm.KUBELET_CONF]


def _before_it_joins(judge: Callable[[Subject], Verdict]) -> Callable[[Subject], Verdict]:
    def judge_newcomer(subject: Subject) -> Verdict:
        joined = has_joined(subject)
        if joined is None:
            return unknown(f"{kubeadm.KUBELET_CONF} cannot be looked for")
        return not_applicable("it has joined a cluster") if joined else judge(subject)

    return judge_newcomer


def _absent(subject: Subject, paths: tuple[str, ...], **rest: str) -> Verdict:
    files = subject.kubeadm["files"]
    there = [path for path in paths if files[path]]
    if there:
        return violated(
            f"there already: {', '.join(there)}",
            *(Evidence("", path) for path in there),
            **rest,
        )
    hidden = [path for path in paths if files[path] is None]
    return unknown(f"cannot look for {', '.join(hidden)}") if hidden else met("none is there")


def _is_control_plane(subject: Subject) -> bool:
    return "control-plane" in subject.aim.profiles


def _kubeconfig(subject: Subject) -> Verdict:
    return _absent(subject, (kubeadm.KUBELET_CONF, kubeadm.BOOTSTRAP_CONF))


def _ca(subject: Subject) -> Verdict:
    if _is_control_plane(subject):
        return not_applicable("a control plane may be given its CA")
    return _absent(subject, (kubeadm.CA,))


def _manifests(subject: Subject) -> Verdict:
    # of a worker kubeadm does not ask it, and kubelet would start them all the same
    rest = {} if _is_control_plane(subject) else {"severity": "warn"}
    return _absent(subject, kubeadm.MANIFESTS, **rest)


def _etcd(subject: Subject) -> Verdict:
    match subject.kubeadm["etcd_data"]:
        case None:
            return unknown(f"{kubeadm.ETCD_DATA} cannot be read")
        case "used":
            listeners = subject.network["listeners"] or []
            if any(listener["port"] == 2379 for listener in listeners):
                return not_applicable(f"etcd runs, {ETCD_PORT}")
            return violated(
                f"{kubeadm.ETCD_DATA} is not empty", Evidence("not empty", kubeadm.ETCD_DATA)
            )
        case state:
            return met(f"{kubeadm.ETCD_DATA} is {state}")


CHECKS = (
    Check(
        id="kubeadm.kubeconfig",
        title="No kubeconfig of an earlier cluster is left for kubelet",
        severity="fail",
        expected="neither kubelet.conf nor bootstrap-kubelet.conf before the node joins",
        why="kubeadm refuses to join a host that has them, and kubelet would talk to the cluster "
        "they are of.",
        judge=_before_it_joins(_kubeconfig),
        remedy=_RESET,
        mirrors=(
            "kubeadm: FileAvailable--etc-kubernetes-kubelet.conf, "
            "FileAvailable--etc-kubernetes-bootstrap-kubelet.conf",
        ),
        sources=_SOURCES,
    ),
    Check(
        id="kubeadm.ca",
        title="No CA of an earlier cluster is left on a worker",
        severity="fail",
        expected="no /etc/kubernetes/pki/ca.crt before the node joins",
        why="kubeadm refuses to join a worker that has it: kubelet would trust the clients of "
        "another cluster.",
        judge=_before_it_joins(_ca),
        remedy=_RESET,
        mirrors=("kubeadm: FileAvailable--etc-kubernetes-pki-ca.crt",),
        sources=_SOURCES,
    ),
    Check(
        id="kubeadm.manifests",
        title="No static pods of an earlier control plane are left",
        severity="fail",
        expected="no manifest of the control plane in /etc/kubernetes/manifests before the node "
        "joins",
        why="kubelet starts what is there: a second, wrong API server or etcd. kubeadm refuses to "
        "make a control plane beside them; of a worker it does not ask it, so there it is a "
        "warning.",
        judge=_before_it_joins(_manifests),
        remedy=_RESET,
        mirrors=(
            "kubeadm: FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml, "
            "-kube-controller-manager.yaml, -kube-scheduler.yaml, -etcd.yaml",
        ),
        sources=_SOURCES,
    ),
    Check(
        id="kubeadm.etcd-data",
        title="etcd begins with an empty directory",
        severity="fail",
        expected="/var/lib/etcd missing or empty before the control plane is made",
        why="etcd would go on with the data of an earlier cluster; kubeadm refuses a directory "
        "that is not empty.",
        judge=_before_it_joins(_etcd),
        remedy="empty /var/lib/etcd, after a backup of what is still needed; or kubeadm reset",
        profiles=frozenset({"control-plane"}),
        mirrors=("kubeadm: DirAvailable--var-lib-etcd",),
        sources=_SOURCES,
    ),
)
