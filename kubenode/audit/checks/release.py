"""Which Kubernetes release a host is judged for."""

from __future__ import annotations

from kubenode.audit.checks.check import PartMissing, Subject


def aimed_at(subject: Subject) -> tuple[int, int] | None:
    """The release asked for, or that of the host's kubelet; None when there is neither."""
    if subject.aim.kubernetes is not None:
        return subject.aim.kubernetes
    try:
        version = subject.kubelet["version"]
    except PartMissing:
        return None
    if version is None:
        return None
    major, minor, _ = version.split(".", 2)
    return int(major), int(minor)
