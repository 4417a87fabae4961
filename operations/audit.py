"""The audit as an operation: for pyinfra's own options, output and exit code."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, operation

from kubenode import settings
from kubenode.checks.catalogue import CHECKS
from kubenode.facts.node import Node
from kubenode.findings import Finding, judge_host
from kubenode.report import refuse
from kubenode.reports.printable import printable


@operation()
def node() -> Generator[FunctionCommand, None, None]:
    """
    Judge the host by every check, and change nothing on it.

    A host with a ``fail``, or with an ``unknown`` that may hide one, fails, and pyinfra's exit code
    says so; warnings are logged. What it is judged for, and waivers, are its ``kubenode_`` data.
    ``kubenode audit`` shows more: the whole fleet, drift, and other formats.

    **Example:**

    .. code:: python

        from kubenode.operations import audit

        audit.node(name="Audit")
    """
    wanted = settings.for_host(host)
    arguments: Mapping[str, object] = host.current_op_global_arguments or {}
    # As in platform.supported: nobody could type sudo's password, and pyinfra's prompt would end
    # the run for all hosts. The host is looked at without sudo then, and says what it cannot tell.
    unattended = (
        bool(arguments.get("_sudo"))
        and not any(map(arguments.get, ("_sudo_user", "_sudo_password", "_use_sudo_password")))
        and not sys.stdin.isatty()
    )
    facts = host.get_fact(
        Node,
        modules=wanted.modules,
        sysctls=list(wanted.sysctls),
        **({"_sudo": False, "by_sudo": True} if unattended else {}),
    )
    if facts is None:
        yield refuse(host, "the host did not answer, see the lines above")
        return
    report = judge_host(host.name, facts, settings.aim(wanted), CHECKS, settings.waivers(wanted))
    counting = [finding for finding in report.findings if finding.counts]
    serious = [finding for finding in counting if finding.severity == "fail"]
    for finding in counting:
        if finding not in serious:
            logger.warning(f"{host.print_prefix}{_line(finding)}")
    if serious:
        yield refuse(host, "; ".join(_line(finding) for finding in serious))
        return
    count = report.count()
    host.noop(f"{count['pass']} checks pass, {count['warn']} warn, {count['unknown']} unknown")


def _line(finding: Finding) -> str:
    remedy = f" -> {finding.remedy}" if finding.remedy else ""
    return printable(f"{finding.state} {finding.check}: {finding.found}{remedy}")
