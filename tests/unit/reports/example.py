"""Reports to render: made by the real checks from recorded facts."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from kubenode.audit import drift
from kubenode.audit.checks.catalogue import CHECKS
from kubenode.audit.checks.check import Aim
from kubenode.audit.findings import Difference, FleetReport, HostReport, Waiver, judge_host
from tests.recorded_node import recorded

TODAY = date(2026, 11, 24)
LATER = {
    "live": "1",
    "live_state": "set",
    "boot": "0",
    "boot_state": "set",
    "winner": {
        "file": "/etc/sysctl.d/zz-cis.conf",
        "line": 2,
        "key": "net.ipv4.ip_forward",
        "value": "0",
    },
    "beaten": [
        {
            "file": "/etc/sysctl.d/k8s.conf",
            "line": 4,
            "key": "net.ipv4.ip_forward",
            "value": "1",
        }
    ],
    "ignored": [],
}
SWAP = [{"kind": "fstab", "file": "/etc/fstab", "line": 7, "what": "/swapfile none swap sw 0 0"}]


def host(name: str, case: str = "prepared-trixie", **changes: Any) -> HostReport:
    """A host with some of its facts changed, see :func:`tests.recorded_node.recorded`."""
    waiver = Waiver("cgroup.controllers", "test hosts are containers", date(2027, 1, 31))
    facts = recorded(case, **changes)
    return judge_host(name, facts, Aim(today=TODAY), CHECKS, {"cgroup.controllers": waiver})


def report(count: int = 20) -> FleetReport:
    """A report of so many hosts: most are right, some are not, one in twenty does not answer."""
    hosts = tuple(itertools.islice(_hosts(), count))
    facts = {one.host: drift.values(one.facts) for one in hosts if one.facts}
    return FleetReport(
        hosts=hosts,
        created=datetime(2026, 11, 24, 6, 30, tzinfo=UTC),
        kubenode_version="0.1.0",
        kubernetes="1.36",
        profiles=("bridge-cni",),
        drift=drift.drift(facts),
        baseline="last-night.json of 2026-11-23T06:30:00+00:00",
        changes=(
            Difference(
                "new",
                "node-002",
                "sysctl.ip-forward.boot",
                "pass: net.ipv4.ip_forward = 1",
                "fail: live, lost at reboot",
            ),
            Difference("host-gone", "node-999", "", "audited", ""),
        ),
        checks=CHECKS,
    )


def _hosts() -> itertools.chain[HostReport]:
    return itertools.chain.from_iterable(map(_twenty, itertools.count()))


def _twenty(index: int) -> list[HostReport]:
    made = [
        host("0", sysctls__keys={**recorded()["sysctls"]["keys"], "net.ipv4.ip_forward": LATER}),  # type: ignore[index]
        host("1", swap__boot=SWAP),
        host("2", "fresh-bookworm"),
        host("3", "prepared-trixie-not-root"),
        HostReport("4", error="Could not connect (timed out)"),
        host("5", containerd=None),
        *(host(str(number)) for number in range(6, 20)),
    ]
    order = [6, 0, 1, 7, 2, 8, 3, 9, 4, 10, 5, *range(11, 20)]
    return [
        replace(made[place], host=f"node-{index * 20 + number + 1:03}")
        for number, place in enumerate(order)
    ]
