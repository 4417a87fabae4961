"""The audit as JSON: for pipelines, and to compare a later audit with."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kubenode.audit import drift
from kubenode.audit.baseline import Saved, SavedHost
from kubenode.audit.checks.catalogue import RENAMED
from kubenode.audit.checks.check import Severity, State
from kubenode.audit.findings import FleetReport, HostReport

SCHEMA = "kubenode-audit/1"
"""It goes up when a reader of the old form cannot read the new one."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class JsonEvidence(_Part):
    """What a finding rests on."""

    text: str
    file: str | None
    line: int | None


class JsonWaiver(_Part):
    """Why a finding does not count."""

    reason: str
    until: str


class JsonFinding(_Part):
    """What one check says of one host."""

    check: str
    state: State
    severity: Severity
    expected: str
    found: str
    evidence: list[JsonEvidence]
    remedy: str | None
    waiver: JsonWaiver | None
    waiver_note: str | None


class JsonHost(_Part):
    """One host."""

    host: str
    state: State
    error: str | None = Field(description="why nothing is known; then there are no findings")
    findings: list[JsonFinding]
    facts: dict[str, str | None] = Field(description="what drift is told from; null: unknown")


class JsonDrift(_Part):
    """A fact that should be the same everywhere, or different everywhere, and is not."""

    id: str
    title: str
    usual: str | None
    odd: dict[str, list[str]]
    unknown: list[str]


class JsonChange(_Part):
    """A difference to the baseline."""

    kind: Literal["new", "fixed", "changed", "host-added", "host-gone", "fact"]
    host: str
    subject: str
    before: str
    after: str


class JsonCheck(_Part):
    """A check of the catalogue."""

    id: str
    title: str
    severity: Severity
    mirrors: list[str]


class JsonSummary(_Part):
    """Counts by state."""

    hosts: dict[State, int]
    findings: dict[State, int]


class JsonReport(_Part):
    """A kubenode audit."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_: Literal["kubenode-audit/1"] = Field(alias="schema")
    created: datetime
    kubenode: str = Field(description="version of kubenode")
    kubernetes: str | None = Field(description="release asked for; null: each kubelet's own")
    profiles: list[str]
    summary: JsonSummary
    hosts: list[JsonHost]
    drift: list[JsonDrift]
    baseline: str | None
    changes: list[JsonChange]
    checks: list[JsonCheck]


def json_schema() -> dict[str, Any]:
    """The published schema (JSON Schema 2020-12): ``audit-1.schema.json`` beside this file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **JsonReport.model_json_schema(by_alias=True),
    }


def render(report: FleetReport) -> str:
    """The report as JSON text, ASCII only; the same audit gives the same text."""
    findings = [finding for host in report.hosts for finding in host.count().elements()]
    document = {
        "schema": SCHEMA,
        "created": report.created.isoformat(),
        "kubenode": report.kubenode_version,
        "kubernetes": report.kubernetes,
        "profiles": list(report.profiles),
        "summary": {
            "hosts": dict(sorted(report.count().items())),
            "findings": {state: findings.count(state) for state in sorted(set(findings))},
        },
        "hosts": [_host(host) for host in report.hosts],
        "drift": [
            {
                "id": item.id,
                "title": item.title,
                "usual": item.usual,
                "odd": {value: list(hosts) for value, hosts in item.odd.items()},
                "unknown": list(item.unknown),
            }
            for item in report.drift
        ],
        "baseline": report.baseline,
        "changes": [vars(change) for change in report.changes],
        "checks": [
            {
                "id": check.id,
                "title": check.title,
                "severity": check.severity,
                "mirrors": list(check.mirrors),
            }
            for check in report.checks
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def _host(host: HostReport) -> dict[str, Any]:
    return {
        "host": host.host,
        "state": host.state,
        "error": host.error,
        "findings": [
            {
                "check": finding.check,
                "state": finding.state,
                "severity": finding.severity,
                "expected": finding.expected,
                "found": finding.found,
                "evidence": [vars(evidence) for evidence in finding.evidence],
                "remedy": finding.remedy,
                "waiver": {
                    "reason": finding.waiver.reason,
                    "until": finding.waiver.until.isoformat(),
                }
                if finding.waiver
                else None,
                "waiver_note": finding.waiver_note,
            }
            for finding in host.findings
        ],
        "facts": drift.values(host.facts) if host.facts else {},
    }


def load(text: str) -> Saved:
    """A saved report, to compare with; ValueError when it is none.

    + text: what :func:`render` wrote
    """
    try:
        report = JsonReport.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ValueError(f"no {SCHEMA} report: {place}: {first['msg']}") from None
    return Saved(
        created=report.created.isoformat(),
        hosts={
            host.host: SavedHost(
                error=host.error,
                findings={
                    RENAMED.get(finding.check, finding.check): (finding.state, finding.found)
                    for finding in host.findings
                },
                facts=host.facts,
            )
            for host in report.hosts
        },
    )
