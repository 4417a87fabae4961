"""What changed since a saved report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubenode.audit.baseline import differences
from kubenode.audit.findings import FleetReport, HostReport
from kubenode.audit.reports import json_report
from tests.recorded_node import recorded
from tests.unit.reports.example import LATER, SWAP, host, report


def fleet(*hosts: HostReport) -> FleetReport:
    return replace(report(1), hosts=hosts, changes=(), baseline=None)


def compared(before: FleetReport, after: FleetReport) -> list[tuple[str, str, str]]:
    saved = json_report.load(json_report.render(before))
    return [(one.kind, one.host, one.subject) for one in differences(saved, after)]


GOOD = host("a")
SWAPPING = host("a", swap__boot=SWAP)
FORWARDING: object = {
    **(recorded()["sysctls"] or {"keys": {}})["keys"],
    "net.ipv4.ip_forward": LATER,
}


def test_the_same_audit_has_no_changes() -> None:
    assert compared(report(20), report(20)) == []


def test_new_fixed_and_changed() -> None:
    assert compared(fleet(GOOD), fleet(SWAPPING)) == [("new", "a", "swap.boot")]
    assert compared(fleet(SWAPPING), fleet(GOOD)) == [("fixed", "a", "swap.boot")]
    other = host("a", swap__boot=[{**SWAP[0], "line": 8}])
    assert compared(fleet(SWAPPING), fleet(other)) == [("changed", "a", "swap.boot")]


def test_a_fact_that_changed() -> None:
    found = compared(fleet(GOOD), fleet(host("a", sysctls__keys=FORWARDING)))
    assert found == [
        ("new", "a", "sysctl.ip-forward.boot"),
        ("fact", "a", "sysctl.net.ipv4.ip_forward"),
    ]


def test_hosts_that_come_go_and_fall_silent() -> None:
    silent = HostReport("a", error="timed out")
    assert compared(fleet(GOOD), fleet(host("b"))) == [
        ("host-added", "b", ""),
        ("host-gone", "a", ""),
    ]
    assert compared(fleet(GOOD), fleet(silent)) == [("changed", "a", "")]
    assert compared(fleet(silent), fleet(silent)) == []
    # nobody knows whether it swapped then
    assert compared(fleet(silent), fleet(SWAPPING)) == [("changed", "a", "")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": "kubenode-audit/2"}',
        "not json",
        '{"schema": "kubenode-audit/1"}',
    ],
)
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no kubenode-audit/1 report"):
        json_report.load(text)
