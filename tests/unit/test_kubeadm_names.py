"""What kubeadm would name on hosts that were audited."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from kubenode.audit import kubeadm_names
from kubenode.audit.checks.catalogue import CHECKS, by_id
from kubenode.audit.checks.check import Aim
from kubenode.audit.findings import FleetReport, judge_host
from kubenode.audit.reports import terminal
from kubenode.facts import machine
from tests.recorded_node import recorded
from tests.unit.checks.test_catalogue import KUBEADM

TODAY = date(2026, 7, 1)


def report(kubernetes: str = "1.37", **hosts: Any) -> FleetReport:
    minor = int(kubernetes.partition(".")[2])
    aim = Aim(today=TODAY, kubernetes=(1, minor))
    return FleetReport(
        tuple(judge_host(name, facts, aim, CHECKS) for name, facts in hosts.items()),
        datetime(2026, 7, 1, tzinfo=UTC),
        "0",
        kubernetes,
        checks=tuple(CHECKS),
    )


@pytest.mark.parametrize(
    ("check", "minor", "expected"),
    [
        ("swap.live", 37, {"Swap": True}),
        ("network.port-10250", 37, {"Port-10250": False}),
        ("kubernetes.kernel", 37, {"SystemVerification": False}),
        (
            "machine.programs.required",
            37,
            dict.fromkeys(["FileExisting-mount", "FileExisting-losetup", "FileExisting-cp"], False),
        ),
        ("machine.programs.optional", 37, {"FileExisting-touch": True}),
        (
            "machine.programs.optional",
            32,
            dict.fromkeys(["FileExisting-touch", "FileExisting-ethtool", "FileExisting-tc"], True),
        ),
        # it is not in any release that is supported
        ("sysctl.bridge-nf-call-iptables.live", 37, {}),
        ("runtime.held", 37, {}),
    ],
)
def test_a_checks_names_are_kubeadms_of_the_release(
    check: str, minor: int, expected: dict[str, bool]
) -> None:
    assert kubeadm_names.names(by_id(check), (1, minor)) == expected


def test_each_name_is_one_of_kubeadms() -> None:
    for check in CHECKS:
        for minor in (30, 37):
            for name in kubeadm_names.names(check, (1, minor)):
                assert KUBEADM.fullmatch(name), f"{check.id}: {name}"


def test_what_is_missing_is_named_once_with_its_hosts() -> None:
    good: Any = dict.fromkeys(machine.PROGRAMS, "/usr/bin/x")
    whole = recorded(machine__programs=good)
    listener = {"address": "0.0.0.0", "port": 10250, "uid": 0}
    bad = recorded(machine__programs={**good, "losetup": None})
    listed = recorded(machine__programs=good, network__listeners=[listener])
    found = kubeadm_names.missing(report(one=whole, two=bad, three=listed))
    others = set(kubeadm_names.missing(report(one=whole)))
    assert "Port-10250" not in others
    assert found["FileExisting-losetup"] == ["two"]
    assert "FileExisting-mount" not in found
    assert found["Port-10250"] == ["three"]
    shown = terminal.render(report(one=whole, two=bad, three=listed))
    assert "What kubeadm init or join would name" in shown
    assert "Port-10250 on three" in shown
