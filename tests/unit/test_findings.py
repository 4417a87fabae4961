"""From verdicts to findings, and from findings to the exit code."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from kubenode.audit.checks.catalogue import by_id
from kubenode.audit.checks.check import Aim, State
from kubenode.audit.findings import Finding, FleetReport, HostReport, Waiver, exit_code, judge_host
from tests.recorded_node import recorded

TODAY = date(2026, 11, 24)
SWAP = by_id("swap.boot")
BROKEN = recorded(swap__boot=[{"kind": "fstab", "file": "/etc/fstab", "line": 1, "what": "x"}])


def finding(state: State, severity: str = "fail", waived: bool = False) -> Finding:
    waiver = Waiver("swap.boot", "why", TODAY) if waived else None
    return Finding("swap.boot", state, severity, "", "", waiver=waiver)  # type: ignore[arg-type]


def report(*findings: Finding, error: str | None = None) -> FleetReport:
    hosts = (HostReport("a"), HostReport("b", () if error else findings, error))
    return FleetReport(hosts, datetime(2026, 11, 24, tzinfo=UTC), "0")


@pytest.mark.parametrize(
    ("audit", "fail_on", "code"),
    [
        (report(), "fail", 0),
        (report(finding("pass"), finding("not-applicable")), "warn", 0),
        (report(finding("warn", "warn")), "fail", 0),
        (report(finding("warn", "warn")), "warn", 1),
        (report(finding("fail")), "fail", 1),
        (report(finding("fail", waived=True)), "fail", 0),
        (report(finding("unknown")), "fail", 2),
        (report(finding("unknown", waived=True)), "fail", 0),
        (report(finding("unknown", "warn")), "fail", 0),
        (report(finding("unknown", "warn")), "warn", 2),
        (report(finding("fail"), finding("unknown")), "fail", 2),
        (report(error="timed out"), "fail", 2),
    ],
)
def test_exit_code(audit: FleetReport, fail_on: str, code: int) -> None:
    assert exit_code(audit, fail_on) == code  # type: ignore[arg-type]


def judged(waiver: Waiver | None, today: date = TODAY, facts: object = BROKEN) -> Finding:
    waivers = {"swap.boot": waiver} if waiver else {}
    host = judge_host("a", facts, Aim(today=today), [SWAP], waivers)  # type: ignore[arg-type]
    return host.findings[0]


def test_a_waiver_lasts_until_its_day_is_over() -> None:
    waiver = Waiver("swap.boot", "until the new disks come", TODAY)
    assert judged(None).counts
    assert not judged(waiver).counts
    late = judged(waiver, date(2026, 11, 25))
    assert late.counts
    assert late.waiver_note == "its waiver ended 2026-11-24 (until the new disks come)"


def test_a_waiver_that_is_not_needed_is_said_to_be_so() -> None:
    found = judged(Waiver("swap.boot", "why", TODAY), facts=recorded())
    assert found.state == "pass"
    assert "no longer needed" in str(found.waiver_note)


def test_a_finding_has_a_remedy_where_something_is_wrong() -> None:
    assert judged(None).remedy == SWAP.remedy
    assert judged(None, facts=recorded()).remedy is None


@pytest.mark.parametrize(
    ("states", "state"),
    [
        (["pass", "not-applicable"], "pass"),
        (["warn", "pass"], "warn"),
        (["unknown", "warn"], "unknown"),
        (["unknown", "fail"], "fail"),
    ],
)
def test_a_host_is_as_good_as_its_worst_finding(states: list[State], state: State) -> None:
    assert HostReport("a", tuple(map(finding, states))).state == state


def test_a_host_without_an_answer_is_unknown() -> None:
    assert replace(HostReport("a"), error="down").state == "unknown"
