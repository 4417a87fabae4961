"""Whether a host can become a node at all."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, OperationValueError, operation

from kubenode.audit.preflight import preflight
from kubenode.facts.platform import Platform
from kubenode.linux.cgroups import Driver
from kubenode.operations import other_runtime
from kubenode.run.pyinfra_internals import print_prefix
from kubenode.run.telling import refuse
from kubenode.runtimes.runtime import named
from kubenode.settings import DEFAULTS, minor_release
from kubenode.wire import bounded, joint_reading, unattended


@operation()
@bounded.bounded(bounded.CHANGE_SECONDS)
def supported(
    cgroup_driver: Driver = DEFAULTS.cgroup_driver,
    kubernetes_version: str | None = DEFAULTS.kubernetes_version,
    runtime: str = DEFAULTS.runtime,
    replace_runtime: bool = DEFAULTS.replace_runtime,
) -> Generator[FunctionCommand, None, None]:
    """
    Fail a host that cannot become a node, before anything is changed on it.

    + cgroup_driver: the driver the node shall use; ``systemd`` needs systemd as PID 1
    + kubernetes_version: release the node is for, such as ``1.36``; None checks what all releases
      need
    + runtime: the runtime the node shall use, as ``kubenode_runtime`` names it
    + replace_runtime: whether it may take the place of another one that is in use, on a node
      without pods

    It changes nothing. A host passes when it runs Linux, when commands run as root, when packages
    change its system (no image such as Flatcar, CoreOS, bootc or NixOS, and no read-only ``/usr``),
    when its package manager is apt, dnf or zypper, and when its cgroups suit: kubelet refuses
    cgroup v1 from Kubernetes 1.35 (``failCgroupV1``), before that v1 is a warning. A host fails
    when another runtime than the wanted one runs, starts at boot, or is the one that kubelet or
    ``/etc/crictl.yaml`` points at, unless *replace_runtime* says that it gives way and no pod runs.
    One that is only installed is a warning, see :mod:`kubenode.runtimes.other_runtimes`.

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

    try:
        wanted = named(runtime)
    except ValueError as error:
        raise OperationValueError(f"runtime is one of {error}") from error

    platform = joint_reading.get_fact(Platform)
    if platform is None:
        what = "cannot tell what this host is: it did not answer"
        yield refuse(host, unattended.why_no_answer(host, what))
        return
    verdicts = preflight(platform, cgroup_driver, release, wanted, replaces=replace_runtime)
    problems = [verdict for verdict in verdicts if verdict.severity == "fail"]
    if problems:
        reasons = "; ".join(f"{verdict.found}: {verdict.remedy}" for verdict in problems)
        yield refuse(host, f"this host cannot be a node: {reasons}")
        return

    if problem := other_runtime.problem(platform["runtimes"], wanted, replace_runtime):
        yield refuse(host, problem)
        return
    for verdict in verdicts:
        logger.warning(f"{print_prefix(host)}{verdict.found}: {verdict.remedy}")
    mode = platform["cgroups"]["mode"]
    host.noop(
        f"{platform['os_name']}, {platform['package_manager']}, cgroup {mode}, "
        f"{platform['cgroups']['init']} is PID 1: can be a node"
    )
