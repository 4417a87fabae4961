"""The report of a fleet, from what its hosts answered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pyinfra.api import Config, Host, Inventory, State

from kubenode.audit.ask import Answer
from kubenode.audit.checks.catalogue import CHECKS
from kubenode.audit.findings import FleetReport
from kubenode.audit.fleet_report import compared, fleet_report
from kubenode.audit.reports import json_report
from kubenode.facts.node import NodeShape
from kubenode.settings import NodeSettings
from tests.recorded_node import recorded

NOW = datetime(2026, 11, 25, tzinfo=UTC)
SWAP = [{"kind": "fstab", "file": "/etc/fstab", "line": 1, "what": "/swapfile"}]


def host(name: str) -> Host:
    inventory = Inventory(([(name, {})], {}))
    State(inventory, Config())
    return next(iter(inventory))


def audit(*answers: tuple[NodeShape | str, dict[str, Any]]) -> FleetReport:
    """The report of hosts ``a``, ``b`` and so on, from facts or an error and their settings."""
    made = []
    for name, (answer, data) in zip("abcdef", answers, strict=False):
        error = answer if isinstance(answer, str) else None
        facts = None if isinstance(answer, str) else answer
        made.append((Answer(host(name), facts, error), NodeSettings.model_validate(data)))
    return fleet_report(made, created=NOW, kubenode_version="1.2.3")


def test_each_host_is_judged_by_its_own_settings() -> None:
    facts = recorded(swap__boot=SWAP)
    waived = {"swap.boot": {"reason": "x", "until": "2100-01-01"}}
    report = audit((facts, {}), (facts, {"waivers": waived}), ("timed out", {}))
    a, b, c = report.hosts
    assert [each.host for each in report.hosts] == ["a", "b", "c"]
    assert [finding.check for finding in a.findings] == [check.id for check in CHECKS]
    states = [next(f for f in each.findings if f.check == "swap.boot") for each in (a, b)]
    assert [finding.counts for finding in states] == [True, False]
    assert (c.error, c.findings) == ("timed out", ())
    assert (report.created, report.kubenode_version, report.checks) == (NOW, "1.2.3", CHECKS)


@pytest.mark.parametrize(
    ("releases", "common"),
    [(["1.36", "1.36"], "1.36"), (["1.36", "1.35"], None), (["1.36", None], None), ([], None)],
)
def test_the_release_and_the_profiles_of_all_hosts(
    releases: list[str | None], common: str | None
) -> None:
    facts = recorded()
    report = audit(*((facts, {"kubernetes_version": release}) for release in releases))
    assert report.kubernetes == common
    report = audit((facts, {"profiles": ["ipvs"]}), (facts, {"profiles": ["ipv6", "ipvs"]}))
    assert report.profiles == ("ipv6", "ipvs")


def test_hosts_are_compared_with_each_other() -> None:
    other: Any = {**recorded(), "platform": {**(recorded()["platform"] or {}), "os_name": "Arch"}}
    report = audit((recorded(), {}), (recorded(), {}), (other, {}), ("timed out", {}))
    drifts = {drift.id: drift for drift in report.drift}
    assert drifts["drift.os"].odd == {"Arch": ("c",)}
    # clones of one image: they have one machine-id
    assert "duplicate.machine-id" in drifts


def test_a_report_is_compared_with_a_saved_one() -> None:
    before = json_report.load(json_report.render(audit((recorded(), {}))))
    now = audit((recorded(swap__boot=SWAP), {}))
    report = compared(now, "monday.json", before)
    assert report.baseline == "monday.json of 2026-11-25T00:00:00+00:00"
    assert [(each.kind, each.subject) for each in report.changes] == [("new", "swap.boot")]
    assert (report.hosts, report.drift) == (now.hosts, now.drift)
