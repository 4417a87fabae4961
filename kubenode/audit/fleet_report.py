"""The report of a fleet, from what its hosts answered. Nothing here asks a host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from kubenode.audit import aim, baseline, drift
from kubenode.audit.baseline import Saved
from kubenode.audit.checks.catalogue import CHECKS
from kubenode.audit.findings import FleetReport, HostReport, judge_host

if TYPE_CHECKING:
    from kubenode.audit.ask import Answer
    from kubenode.settings import NodeSettings


def fleet_report(
    answers: Iterable[tuple[Answer, NodeSettings]], *, created: datetime, kubenode_version: str
) -> FleetReport:
    """Judge every host, and compare the hosts with each other.

    + answers: what came of asking each host, with the host's settings
    + created: when they were asked, in UTC
    + kubenode_version: the version that judges them

    **Example:**

    .. code:: python

        answers = ask.hosts(state, hosts, names, seconds=60)
        report = fleet_report(
            [(answer, settings.for_host(answer.host)) for answer in answers],
            created=datetime.now(UTC),
            kubenode_version="0.1.0",
        )
    """
    judged = list(answers)
    hosts = tuple(_host_report(answer, node) for answer, node in judged)
    facts = {host.host: host.facts for host in hosts if host.facts}
    alike = {name: drift.values(each) for name, each in facts.items()}
    nodes = [node for _, node in judged]
    return FleetReport(
        hosts=hosts,
        created=created,
        kubenode_version=kubenode_version,
        kubernetes=_common([node.kubernetes_version for node in nodes]),
        profiles=tuple(sorted({name for node in nodes for name in node.profiles})),
        drift=(*drift.duplicates(facts), *drift.drift(alike)),
        checks=CHECKS,
    )


def compared(report: FleetReport, name: str, saved: Saved) -> FleetReport:
    """The report, with what is not as in a saved one.

    + report: the audit
    + name: what the saved report is called, such as its file's name
    + saved: the saved report
    """
    return replace(
        report,
        baseline=f"{name} of {saved.created}",
        changes=baseline.differences(saved, report),
    )


def _common(releases: Sequence[str | None]) -> str | None:
    return releases[0] if len(set(releases)) == 1 else None


def _host_report(answer: Answer, node: NodeSettings) -> HostReport:
    name = answer.host.name
    if answer.facts is None:
        return HostReport(name, error=answer.error)
    return judge_host(name, answer.facts, aim.aim(node), CHECKS, aim.waivers(node))
