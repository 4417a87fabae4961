"""Whether a host can become a node: some of the audit's checks, before a deploy changes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from kubenode.audit.checks import cgroups, platform
from kubenode.audit.checks.check import Aim, Subject, Verdict, unknown, verdict_of, violated
from kubenode.facts.platform import PlatformShape
from kubenode.linux.cgroups import Driver
from kubenode.runtimes import other_runtimes
from kubenode.runtimes.runtime import CONTAINERD, Runtime

if TYPE_CHECKING:
    from kubenode.facts.node import NodeShape

_CHECKS = (
    *platform.CHECKS,
    *(check for check in cgroups.CHECKS if check.id == "cgroup.version"),
)


def preflight(
    shape: PlatformShape,
    cgroup_driver: Driver,
    kubernetes_version: tuple[int, int] | None,
    runtime: Runtime = CONTAINERD,
    *,
    replaces: bool = False,
) -> list[Verdict]:
    """What keeps a host from being a node (severity ``fail``), or may later (``warn``).

    + shape: the host's :class:`~kubenode.facts.platform.Platform` fact
    + cgroup_driver: ``systemd`` or ``cgroupfs``
    + kubernetes_version: major and minor number, or None
    + runtime: the one that the node shall use
    + replaces: whether it shall take the place of another one

    Returns the verdicts that are not right, each with its severity and remedy. They are the
    audit's own checks. To be root, packages and their manager are a ``warn`` there and a ``fail``
    here: an audit does without them.

    **Example:**

    .. code:: python

        preflight(platform, "systemd", (1, 36))  # [] of a host that can be a node
    """
    aim = Aim(kubernetes=kubernetes_version, cgroup_driver=cgroup_driver, runtime=runtime)
    parts = {"platform": shape, "cgroups": shape["cgroups"], "missing": {}}
    subject = Subject(cast("NodeShape", parts), aim)
    verdicts = []
    for check in _CHECKS:
        verdict = verdict_of(check, subject)
        if verdict.outcome in ("violated", "unknown"):
            severity = verdict.severity or "fail"
            remedy = verdict.remedy or check.remedy
            verdicts.append(replace(verdict, severity=severity, remedy=remedy))
    return verdicts + _other_runtimes(shape["runtimes"], runtime, replaces)


def _other_runtimes(
    shape: other_runtimes.RuntimesShape, wanted: Runtime, replaces: bool
) -> list[Verdict]:
    if problem := other_runtimes.refusal(shape, wanted, replaces=replaces):
        found, remedy = problem
        make = unknown if found.startswith("cannot tell") else violated
        return [make(found, severity="fail", remedy=remedy)]
    return [
        violated(found, severity="warn", remedy=remedy)
        for found, remedy in other_runtimes.warnings(shape, wanted)
    ]
