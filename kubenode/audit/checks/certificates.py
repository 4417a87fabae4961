"""Certificates of kubelet and of kubeadm's control plane: until when they are good."""

from __future__ import annotations

from datetime import date

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
from kubenode.facts.certificates import ROTATED, CertificateShape

DAYS = 60
_ROTATES_WITHIN = 0.1
"""kubelet asks for another when 10 to 30 % of the time are left (client-go's certificate manager):
what has less was not renewed."""


def _certificates(subject: Subject) -> Verdict:
    there = subject.certificates["certificates"]
    if not there:
        return not_applicable("there are no certificates of kubelet or kubeadm")
    late: list[str] = []
    over: list[str] = []
    unread: list[str] = []
    for path, each in there.items():
        left = _days_left(each, subject.aim.today)
        if left is None:
            unread.append(f"{path}: {each['error'] or 'its dates cannot be read'}")
        elif left < 0:
            over.append(path)
        elif left < _least(path, each):
            late.append(path)
    evidence = [Evidence(f"expires on {each['expires']}", path) for path, each in there.items()]
    said = [f"{path} expired on {there[path]['expires']}" for path in over]
    said += [f"{path} expires on {there[path]['expires']}" for path in late]
    if said:
        return violated("; ".join(said), *evidence, severity="fail" if over else "warn")
    if unread:
        return unknown("; ".join(unread))
    first = min(there.items(), key=lambda item: item[1]["expires"] or "")
    return met(f"the first to expire is {first[0]}, on {first[1]['expires']}", *evidence)


def _days_left(each: CertificateShape, today: date) -> int | None:
    try:
        return (date.fromisoformat(each["expires"] or "") - today).days
    except ValueError:
        return None


def _least(path: str, each: CertificateShape) -> float:
    if path not in ROTATED:
        return DAYS
    try:
        whole = date.fromisoformat(each["expires"] or "") - date.fromisoformat(each["since"] or "")
    except ValueError:
        return DAYS
    return min(DAYS, whole.days * _ROTATES_WITHIN)


CHECKS = (
    Check(
        id="certificates.expiry",
        title="Certificates of kubelet and the control plane stay good",
        severity="warn",
        expected=f"{DAYS} days and more left; of those that kubelet renews itself a tenth of their "
        "time",
        why="kubeadm's certificates are good for a year and renewed by kubeadm upgrade: on a "
        "cluster that was not upgraded for a year the API server is not reached any more, all at "
        "once. kubelet renews its own when 10 to 30 % of the time are left; one with less was not "
        "renewed, and the node is lost when it expires.",
        judge=_certificates,
        remedy="kubeadm certs renew all on a control plane, then restart its static pods; for "
        "kubelet's own see what it logs (rotateCertificates, a signer that does not approve), or "
        "join the node again",
        sources=(
            "https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-certs/",
            "https://kubernetes.io/docs/tasks/tls/certificate-rotation/",
        ),
    ),
)
