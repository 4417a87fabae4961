"""The sentences every report says in the same words."""

from __future__ import annotations

from kubenode.audit.findings import SEVERITY_ORDER, Difference, FleetReport


def sentence(report: FleetReport) -> str:
    """One line on the whole audit, such as ``20 hosts: 2 fail, 1 unknown (no answer), 17 pass``."""
    count = report.count()
    number = len(report.hosts)
    unreached = sum(host.error is not None for host in report.hosts)
    silent = "no answer" if unreached == count["unknown"] else f"{unreached} without an answer"
    parts = [
        f"{count[state]} {state}{f' ({silent})' if state == 'unknown' and unreached else ''}"
        for state in SEVERITY_ORDER
        if count[state]
    ]
    return f"{number} host{'' if number == 1 else 's'}: {', '.join(parts) or 'nothing to say'}"


def circumstances(report: FleetReport) -> list[str]:
    """When, with what, and for what the audit was made."""
    profiles = ", ".join(report.profiles) or "none"
    release = (
        f"Kubernetes {report.kubernetes}"
        if report.kubernetes
        else "the Kubernetes release of each host's kubelet"
    )
    return [
        f"{report.created:%Y-%m-%d %H:%M} UTC, kubenode {report.kubenode_version}",
        f"judged for {release}; profiles: {profiles}",
    ]


def difference(found: Difference) -> str:
    """One difference to the baseline in one line."""
    match found.kind:
        case "host-added":
            return f"{found.host}: not in the baseline, now {found.after}"
        case "host-gone":
            return f"{found.host}: in the baseline, not audited now"
        case "fact":
            return f"{found.host}: {found.subject}: {found.before} -> {found.after}"
        case kind:
            subject = f" {found.subject}" if found.subject else ""
            return f"{found.host}: {kind}{subject}: {found.before} -> {found.after}"
