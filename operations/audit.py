"""The audit as an operation: for pyinfra's own options, output and exit code."""

from __future__ import annotations

import functools
from collections.abc import Generator

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, operation

from kubenode import settings
from kubenode.audit import aim
from kubenode.audit.checks.catalogue import CHECKS
from kubenode.audit.findings import Finding, judge_host
from kubenode.facts.node import Node
from kubenode.run.printable import printable
from kubenode.run.pyinfra_internals import print_prefix
from kubenode.run.telling import refuse
from kubenode.wire import bounded, unattended


@operation()
@bounded.bounded(bounded.CHANGE_SECONDS)
def node() -> Generator[FunctionCommand, None, None]:
    """
    Judge the host by every check, and change nothing on it.

    A host fails when it has a ``fail``, or an ``unknown`` that may hide one, and pyinfra's exit
    code says so. Warnings are logged. The host's ``kubenode_`` data says what it is judged for,
    and which findings are waived (:class:`kubenode.settings.NodeSettings`). ``kubenode audit``
    shows more: the whole fleet, drift, and other formats.

    **Example:**

    .. code:: python

        from kubenode.operations import audit

        audit.node(name="Audit")
    """
    aim.check(host)
    wanted = settings.for_host(host)
    arguments = {"modules": wanted.modules, "sysctls": list(wanted.sysctls)}
    # this operation says what is wrong: pyinfra would end the run where no other host is left
    ask = functools.partial(host.get_fact, Node, **arguments, _ignore_errors=True)
    facts = unattended.also_without_sudo(host, ask)
    if facts is None:
        yield refuse(host, unattended.why_no_answer(host, "the host did not answer"))
        return
    report = judge_host(host.name, facts, aim.aim(wanted), CHECKS, aim.waivers(wanted))
    serious = [finding for finding in report.findings if finding.is_serious()]
    for finding in report.findings:
        if finding.counts and not finding.is_serious():
            logger.warning(f"{print_prefix(host)}{_line(finding)}")
    if serious:
        yield refuse(host, "; ".join(_line(finding) for finding in serious))
        return
    count = report.count()
    host.noop(f"{count['pass']} checks pass, {count['warn']} warn, {count['unknown']} unknown")


def _line(finding: Finding) -> str:
    remedy = f" -> {finding.remedy}" if finding.remedy else ""
    return printable(f"{finding.state} {finding.check}: {finding.found}{remedy}")
