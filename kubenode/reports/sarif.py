"""The audit as SARIF 2.1.0: what code scanning shows.

A check is a rule, a finding that is not right a result. The file of a finding is a file of the
host, so its URI is relative to the host: ``HOST/etc/sysctl.d/k8s.conf``.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote

from kubenode.checks.check import Check
from kubenode.findings import Finding, FleetReport
from kubenode.reports.printable import printable

_LEVELS = {"fail": "error", "warn": "warning", "unknown": "note"}


def render(report: FleetReport) -> str:
    """The report as SARIF text, ASCII only."""
    index = {check.id: number for number, check in enumerate(report.checks)}
    results = [
        _result(host.host, finding, index)
        for host in report.hosts
        for finding in host.findings
        if finding.state in _LEVELS
    ]
    unreached = [
        {
            "level": "error",
            "message": {"text": printable(f"{host.host}: {host.error}")},
            "descriptor": {"id": "host.answers"},
        }
        for host in report.hosts
        if host.error is not None
    ]
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
                        "rules": [_rule(check) for check in report.checks],
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": not unreached,
                        "endTimeUtc": report.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
                        "toolExecutionNotifications": unreached,
                    }
                ],
                "results": results,
            }
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def _rule(check: Check) -> dict[str, Any]:
    sources = "".join(f"\n\nSource: {source}" for source in check.sources)
    return {
        "id": check.id,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": check.why},
        "help": {
            "text": f"Expected: {check.expected}\n\nRemedy: {check.remedy}{sources}",
        },
        "defaultConfiguration": {"level": _LEVELS[check.severity]},
        "properties": {"tags": [check.topic, *check.mirrors]},
    }


def _result(host: str, finding: Finding, index: dict[str, int]) -> dict[str, Any]:
    text = f"{host}: {finding.found}. Expected: {finding.expected}."
    if finding.remedy:
        text += f" Remedy: {finding.remedy}."
    logical = {"name": printable(host), "kind": "resource"}
    places = [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": quote(printable(f"{host}{evidence.file}"))},
                **({"region": {"startLine": evidence.line}} if evidence.line else {}),
            },
            "logicalLocations": [logical],
            "message": {"text": printable(str(evidence))},
        }
        for evidence in finding.evidence
        if evidence.file and evidence.file.startswith("/")
    ]
    result: dict[str, Any] = {
        "ruleId": finding.check,
        "ruleIndex": index.get(finding.check, -1),
        "kind": "review" if finding.state == "unknown" else "fail",
        "level": "none" if finding.state == "unknown" else _LEVELS[finding.state],
        "message": {"text": printable(text)},
        "locations": places[:1] or [{"logicalLocations": [logical]}],
        "partialFingerprints": {
            "hostAndCheck/v1": hashlib.sha256(
                f"{printable(host)}\n{finding.check}".encode()
            ).hexdigest()
        },
    }
    if len(places) > 1:
        result["relatedLocations"] = places[1:]
    if finding.waiver is not None:
        justification = f"until {finding.waiver.until}: {finding.waiver.reason}"
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": justification}
        ]
    return result
