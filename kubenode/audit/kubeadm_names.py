"""What ``kubeadm init`` and ``join`` would name on the hosts that were audited: pure.

Source of the names: ``preflight/checks.go`` of kubeadm, ``Name()`` of each check.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from kubenode.audit.checks.check import Check
from kubenode.audit.findings import Finding, FleetReport

_BEFORE = re.compile(r"kubeadm \(before 1\.(\d+)\)")


def names(check: Check, minor: tuple[int, int] | None) -> dict[str, bool]:
    """kubeadm's names for a check, and whether each is but a warning there.

    + check: one that mirrors kubeadm's
    + minor: the Kubernetes release; None takes what kubeadm has now

    **Example:**

    .. code:: python

        names(by_id("swap.live"), (1, 37))  # {"Swap": True}
    """
    found: dict[str, bool] = {}
    for mirror in check.mirrors:
        who, _, listed = mirror.partition(": ")
        old = _BEFORE.fullmatch(who)
        applies = who == "kubeadm" or (old and minor and minor < (1, int(old[1])))
        if not applies:
            continue
        # "(a warning there)" is of all; "SystemVerification (kernel)" says which part of it
        warns = "warning" in listed
        whole = ""
        for name in re.sub(r" ?[(][^)]*[)]", "", listed).split(", "):
            whole = _whole(whole, name) if name.startswith("-") else name
            found[whole] = warns
    return found


def _whole(before: str, ending: str) -> str:
    """``FileExisting-ip`` and ``-tc`` are ``FileExisting-tc``."""
    manifests = "FileAvailable--etc-kubernetes-manifests"
    return f"{manifests if before.startswith(manifests) else before.partition('-')[0]}{ending}"


def missing(report: FleetReport) -> dict[str, list[str]]:
    """Hosts by what kubeadm would name there: ``{"Port-10250": ["node-1"]}``.

    + report: the audit; what it waives is named too, as kubeadm knows of no waiver
    """
    minor = _minor(report.kubernetes)
    checks = {check.id: names(check, minor) for check in report.checks}
    found: dict[str, list[str]] = {}
    for host in report.hosts:
        for finding in host.findings:
            if finding.state not in ("fail", "warn"):
                continue
            for name in _named(checks.get(finding.check, {}), finding):
                hosts = found.setdefault(name, [])
                if host.host not in hosts:
                    hosts.append(host.host)
    return dict(sorted(found.items()))


def _named(all_names: dict[str, bool], finding: Finding) -> Iterable[str]:
    for name, warns in all_names.items():
        kind, _, program = name.partition("-")
        # a check looks for several programs, and says which are missing
        if kind == "FileExisting" and not re.search(
            rf"(?<![\w-]){program}(?![\w-])", finding.found
        ):
            continue
        yield f"{name} (a warning)" if warns else name


def _minor(release: str | None) -> tuple[int, int] | None:
    found = re.fullmatch(r"(\d+)\.(\d+)(?:\..*)?", release or "")
    return (int(found[1]), int(found[2])) if found else None
