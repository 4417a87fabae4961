"""The audit as SARIF 2.1.0: what code scanning shows.

A check is a rule, a finding that is not right a result, and so is a host that does not answer.
The file of a finding is a file of the host: its URI is ``HOST/etc/sysctl.d/k8s.conf``, relative as
code scanning wants it, and ``HOST`` where no file is to blame.

What is more than the standard asks for is GitHub's: each result has a file and a line, each rule a
``helpUri``, a result's fingerprint is ``primaryLocationLineHash``, and there are limits
(docs.github.com, "SARIF support for code scanning").
"""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote

from kubenode.audit import check_page
from kubenode.audit.checks.check import Check, Evidence
from kubenode.audit.findings import Finding, FleetReport, HostReport
from kubenode.run.printable import printable

_LEVELS = {"fail": "error", "warn": "warning", "unknown": "note"}
_MOST_RESULTS = 25_000
_MOST_LOCATIONS = 100
_MOST_TAGS = 20
_UNREACHED = "host.answers"
_MANUALS = {
    "module": "https://www.freedesktop.org/software/systemd/man/latest/modules-load.d.html",
    "sysctl": "https://www.freedesktop.org/software/systemd/man/latest/sysctl.d.html",
    "containerd": "https://github.com/containerd/containerd/blob/main/docs/cri/config.md",
    "kubelet": "https://kubernetes.io/docs/tasks/administer-cluster/kubelet-config-file/",
}
"""Upstream's manual on a topic, for checks that name no source of their own."""
_MANUAL = "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/install-kubeadm/"


def render(report: FleetReport) -> str:
    """The report as SARIF text, ASCII only."""
    index = {check.id: number for number, check in enumerate(report.checks)}
    results = [
        _result(host.host, finding, index)
        for host in sorted(report.hosts, key=lambda host: host.host)
        for finding in host.findings
        if finding.state in _LEVELS
    ]
    unreached = [host for host in report.hosts if host.error is not None]
    # without a result for a host, a service would close its findings as fixed
    results = [_silence(host, len(report.checks)) for host in unreached] + results
    # of many, services show the first
    results.sort(key=lambda result: ("error", "warning", "none").index(result["level"]))
    notifications = [
        {
            "level": "error",
            "message": {"text": printable(f"{host.host}: {host.error}")},
            "descriptor": {"id": _UNREACHED, "index": len(report.checks)},
        }
        for host in unreached
    ]
    if len(results) > _MOST_RESULTS:
        left = f"{len(results) - _MOST_RESULTS} more results, the least serious, are left out"
        notifications.append({"level": "warning", "message": {"text": left}})
    document = {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
        "sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "kubenode",
                        "version": report.kubenode_version,
                        "rules": [*map(_rule, report.checks), _silence_rule()],
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": not unreached,
                        "endTimeUtc": report.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
                        "toolExecutionNotifications": notifications,
                    }
                ],
                "results": results[:_MOST_RESULTS],
            }
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def _rule(check: Check) -> dict[str, Any]:
    sources = "".join(f"\n\nSource: {source}" for source in check.sources)
    pages = [source for source in check.sources if source.startswith("https://")]
    return {
        "id": check.id,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": check.why},
        "help": {
            "text": f"Expected: {check.expected}\n\nRemedy: {check.remedy}{sources}",
            "markdown": check_page.page(check),
        },
        "helpUri": pages[0] if pages else _MANUALS.get(check.topic, _MANUAL),
        "defaultConfiguration": {"level": _LEVELS[check.severity]},
        "properties": {"tags": [check.topic, *check.mirrors][:_MOST_TAGS]},
    }


def _silence_rule() -> dict[str, Any]:
    return {
        "id": _UNREACHED,
        "shortDescription": {"text": "The host answers"},
        "fullDescription": {"text": "Nothing is known of a host that does not answer."},
        "help": {"text": "Expected: an answer\n\nRemedy: see that pyinfra reaches the host"},
        "helpUri": "https://docs.pyinfra.com/en/3.x/inventory-data.html",
        "defaultConfiguration": {"level": "error"},
    }


def _silence(host: HostReport, rule: int) -> dict[str, Any]:
    return {
        "ruleId": _UNREACHED,
        "ruleIndex": rule,
        "kind": "fail",
        "level": "error",
        "message": {"text": printable(f"{host.host}: no answer: {host.error}")},
        "locations": [_location(host.host)],
        "partialFingerprints": _fingerprints(host.host, _UNREACHED),
    }


def _result(host: str, finding: Finding, index: dict[str, int]) -> dict[str, Any]:
    text = f"{host}: {finding.found}. Expected: {finding.expected}."
    if finding.remedy:
        text += f" Remedy: {finding.remedy}."
    places = [
        _location(host, evidence)
        for evidence in finding.evidence
        if evidence.file and evidence.file.startswith("/")
    ]
    result: dict[str, Any] = {
        "ruleId": finding.check,
        "kind": "review" if finding.state == "unknown" else "fail",
        "level": "none" if finding.state == "unknown" else _LEVELS[finding.state],
        "message": {"text": printable(text)},
        "locations": places[:1] or [_location(host)],
        "partialFingerprints": _fingerprints(host, finding.check),
    }
    if finding.check in index:
        result["ruleIndex"] = index[finding.check]
    if len(places) > 1:
        result["relatedLocations"] = places[1:_MOST_LOCATIONS]
    if finding.waiver is not None:
        justification = f"until {finding.waiver.until}: {finding.waiver.reason}"
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": printable(justification)}
        ]
    return result


def _location(host: str, evidence: Evidence | None = None) -> dict[str, Any]:
    place: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(host, evidence.file or "" if evidence else "")},
            # the first where no line is known: code scanning shows no result without one
            "region": {"startLine": (evidence.line if evidence else None) or 1},
        },
        "logicalLocations": [{"name": printable(host), "kind": "resource"}],
    }
    if evidence is not None:
        place["message"] = {"text": printable(str(evidence))}
    return place


def _uri(host: str, path: str) -> str:
    """The relative URI of a file of a host; nothing in it leads out of the host's folder."""
    parts = [part for part in printable(f"{host}/{path}").split("/") if part not in ("", ".", "..")]
    return "/".join(quote(part, safe="") for part in parts) or "host"


def _fingerprints(host: str, check: str) -> dict[str, str]:
    digest = hashlib.sha256(f"{printable(host)}\n{check}".encode()).hexdigest()
    return {"hostAndCheck/v1": digest, "primaryLocationLineHash": f"{digest[:16]}:1"}
