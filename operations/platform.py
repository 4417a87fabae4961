"""Whether a host can become a node at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from typing import TYPE_CHECKING, cast

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, OperationValueError, operation

from kubenode.audit.checks import cgroups as cgroup_checks
from kubenode.audit.checks import platform as platform_checks
from kubenode.audit.checks.check import Aim, Subject, Verdict, unknown, verdict_of, violated
from kubenode.facts.platform import Platform, PlatformShape
from kubenode.run.pyinfra_internals import print_prefix
from kubenode.run.telling import refuse
from kubenode.runtimes import other_runtimes
from kubenode.runtimes.cgroup_drivers import Driver
from kubenode.settings import minor_release
from kubenode.wire import bounded, joint_reading

if TYPE_CHECKING:
    from kubenode.facts.node import NodeShape

_CHECKS = (
    *platform_checks.CHECKS,
    *(check for check in cgroup_checks.CHECKS if check.id == "cgroup.version"),
)


@operation()
@bounded.bounded(bounded.CHANGE_SECONDS)
def supported(
    cgroup_driver: Driver = "systemd",
    kubernetes_version: str | None = None,
) -> Generator[FunctionCommand, None, None]:
    """
    Fail a host that cannot become a node, before anything is changed on it.

    + cgroup_driver: the driver the node shall use; ``systemd`` needs systemd as PID 1
    + kubernetes_version: release the node is for, such as ``1.36``; None checks what all releases
      need

    Changes nothing, ever. A host passes when it runs Linux, when commands run as root, when its
    package manager is apt, dnf or zypper, and when its cgroups suit: kubelet refuses cgroup v1 from
    Kubernetes 1.35 (``failCgroupV1``), before that v1 is a warning. Another runtime than
    containerd (CRI-O, cri-dockerd) that runs, starts at boot, or is what kubelet or
    ``/etc/crictl.yaml`` points at keeps a host from passing; one that only is installed is a
    warning, see :mod:`kubenode.runtimes.other_runtimes`.

    **Example:**

    .. code:: python

        platform.supported(
            name="Can this host be a node?",
            kubernetes_version="1.36",
        )
    """
    if cgroup_driver not in ("systemd", "cgroupfs"):
        raise OperationValueError(f"cgroup_driver is systemd or cgroupfs, not {cgroup_driver!r}")
    try:
        release = minor_release(kubernetes_version) if kubernetes_version is not None else None
    except ValueError as error:
        raise OperationValueError(f"kubernetes_version {kubernetes_version!r}: {error}") from error

    platform = joint_reading.get_fact(Platform)
    if platform is None:
        yield refuse(
            host,
            bounded.sudo_problem(host)
            or "cannot tell what this host is: it did not answer, see the lines above",
        )
        return
    verdicts = preflight(platform, cgroup_driver, release)
    problems = [verdict for verdict in verdicts if verdict.severity == "fail"]
    if problems:
        reasons = "; ".join(f"{verdict.found}: {verdict.remedy}" for verdict in problems)
        yield refuse(host, f"this host cannot be a node: {reasons}")
        return

    for verdict in verdicts:
        logger.warning(f"{print_prefix(host)}{verdict.found}: {verdict.remedy}")
    mode = platform["cgroups"]["mode"]
    host.noop(
        f"{platform['os_name']}, {platform['package_manager']}, cgroup {mode}, "
        f"{platform['cgroups']['init']} is PID 1: can be a node"
    )


def preflight(
    platform: PlatformShape, cgroup_driver: Driver, kubernetes_version: tuple[int, int] | None
) -> list[Verdict]:
    """What keeps a host from being a node (severity ``fail``), or may later (``warn``).

    + platform: the host's :class:`~kubenode.facts.platform.Platform` fact
    + cgroup_driver: ``systemd`` or ``cgroupfs``
    + kubernetes_version: major and minor number, or None

    They are the audit's own checks, of which the first three only warn there: an audit can do
    without root and a package manager. Returns the verdicts that are not right, each with its
    severity and remedy.
    """
    aim = Aim(kubernetes=kubernetes_version, cgroup_driver=cgroup_driver)
    parts = {"platform": platform, "cgroups": platform["cgroups"], "missing": {}}
    subject = Subject(cast("NodeShape", parts), aim)
    verdicts = []
    for check in _CHECKS:
        verdict = verdict_of(check, subject)
        if verdict.outcome in ("violated", "unknown"):
            severity = verdict.severity or "fail"
            remedy = verdict.remedy or check.remedy
            verdicts.append(dataclasses.replace(verdict, severity=severity, remedy=remedy))
    return verdicts + _other_runtimes(platform["runtimes"])


def _other_runtimes(shape: other_runtimes.RuntimesShape) -> list[Verdict]:
    if problem := other_runtimes.refusal(shape):
        found, remedy = problem
        make = unknown if found.startswith("cannot tell") else violated
        return [make(found, severity="fail", remedy=remedy)]
    return [
        violated(found, severity="warn", remedy=remedy)
        for found, remedy in other_runtimes.warnings(shape)
    ]
