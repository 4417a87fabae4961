"""Cgroup drivers: one for all components, and the trace that two of them leave on a live node."""

from __future__ import annotations

from kubenode.audit.checks.check import (
    Check,
    Evidence,
    Severity,
    Subject,
    Verdict,
    met,
    not_applicable,
    unknown,
    violated,
)
from kubenode.audit.checks.containerd_files import config_finding
from kubenode.audit.checks.references import DRIVER_AGREEMENT, KUBELET_CONFIG, Reference
from kubenode.facts.cgroup import ComponentShape
from kubenode.runtimes.runtime import CONTAINERD, DOCKER


def _evidence(name: str, component: ComponentShape) -> Evidence:
    driver = component["driver"] or "unknown"
    return Evidence(
        f"{name}: {driver} ({component['reason']})", component["file"], component["line"]
    )


def _components(subject: Subject) -> dict[str, ComponentShape]:
    """Who uses cgroups, without a kubelet that nobody configured yet.

    Its own default is cgroupfs; kubeadm writes systemd into its file when the node joins. Runtimes
    that kubelet does not talk to do not count.
    """
    drivers = subject.cgroup_drivers
    components = {name: drivers["components"][name] for name in drivers["counted"]}
    if "docker" in components and subject.runtime_row is DOCKER:
        # containerd is Docker Engine's then, which makes containers with a driver of its own
        components = {
            name: component
            for name, component in components.items()
            if name.partition("/")[0] != CONTAINERD.name
        }
    if (
        "kubelet" in components
        and components["kubelet"]["driver"] == "cgroupfs"
        and not components["kubelet"]["stated"]
        and subject.kubelet["config"] is None
        and subject.kubelet["active"] is False
    ):
        del components["kubelet"]
    return components


def _follows_from(
    subject: Subject, components: dict[str, ComponentShape], wanted: str | None = None
) -> Reference | None:
    """The check whose finding explains drivers that differ, or that nobody can tell.

    What is wrong with containerd's files explains its own driver, also one that can be told: where
    its settings are ignored, that is cgroupfs. It explains nothing that is wrong without it.
    """
    own = [name for name in components if name.partition("/")[0] == "containerd"]
    others = {component["driver"] for name, component in components.items() if name not in own}
    others_agree = len({*others, wanted} - {None}) <= 1
    if own and others_agree and (cause := config_finding(subject.containerd)):
        return cause
    if "kubelet" in components and components["kubelet"]["driver"] is None:
        return KUBELET_CONFIG if subject.kubelet["error"] else None
    return None


def _severity(subject: Subject, components: dict[str, ComponentShape]) -> Severity:
    """Of drivers that cannot be told: most pods are the default handler's, few another one's."""
    lost = [name for name, component in components.items() if component["driver"] is None]
    default = f"containerd/{subject.containerd['default_handler']}"
    few = all(name.startswith("containerd/") and name != default for name in lost)
    return "warn" if few else "fail"


def _agreement(subject: Subject) -> Verdict:
    components = _components(subject)
    if len(components) < 2:
        return not_applicable("fewer than two components that use cgroups")
    evidence = [_evidence(name, component) for name, component in components.items()]
    found = ", ".join(
        f"{name} {component['driver'] or 'unknown'}" for name, component in components.items()
    )
    drivers = {component["driver"] for component in components.values()}
    if len(drivers) == 1 and None not in drivers:
        return met(found, *evidence)
    if cause := _follows_from(subject, components):
        return not_applicable(f"{found}: {cause}")
    if len(drivers - {None}) > 1:
        return violated(found, *evidence)
    return unknown(found, *evidence, severity=_severity(subject, components))


def _as_wanted(subject: Subject) -> Verdict:
    components = _components(subject)
    if not components:
        return not_applicable("no runtime and no kubelet")
    known = {component["driver"] for component in components.values()} - {None}
    lost = [name for name, component in components.items() if component["driver"] is None]
    cause = _follows_from(subject, components)
    if len(known) > 1:
        return not_applicable(f"they differ, {cause or DRIVER_AGREEMENT}")
    evidence = [_evidence(name, component) for name, component in components.items()]
    driver = next(iter(known), None)
    wanted = subject.aim.cgroup_driver
    if driver == wanted and not lost:
        return met(f"{driver} ({', '.join(components)})", *evidence)
    found = f"{driver or 'unknown'} ({', '.join(components)})"
    if cause := _follows_from(subject, components, wanted):
        return not_applicable(f"{found}: {cause}")
    if driver is None:
        return unknown("no component's driver can be told", *evidence)
    if driver == wanted:
        return not_applicable(
            f"{driver}, and it cannot be told of {', '.join(lost)}: {DRIVER_AGREEMENT}"
        )
    return violated(found, *evidence, expected=f"the {wanted} driver")


def _placement(subject: Subject) -> Verdict:
    cgroups = subject.container_cgroups
    if not cgroups["containers"]:
        return not_applicable("no containers of pods run")
    count = cgroups["containers"]
    if cgroups["misplaced_count"]:
        return violated(
            f"{cgroups['misplaced_count']} of {count} containers are outside their pod's slice",
            *(Evidence(path) for path in cgroups["misplaced"]),
        )
    return met(f"{count} containers, all where kubelet wants them")


_DRIVERS = (
    "https://kubernetes.io/docs/setup/production-environment/container-runtimes/#cgroup-drivers"
)

CHECKS = (
    Check(
        id="cgroup-driver.agreement",
        title="kubelet and the runtimes use the same cgroup driver",
        severity="fail",
        expected="one driver for kubelet and every runtime handler",
        why="Two managers of one cgroup tree have two views of what is in use. Measured: a kubelet "
        "with the systemd driver over a containerd with cgroupfs logs no error, shows the pod "
        "Running, and the pod's limits are applied to an empty slice. The reverse gives pods that "
        "do not start (expected cgroupsPath to be of format slice:prefix:name).",
        judge=_agreement,
        remedy="kubenode.node.prepare with kubenode_cgroup_driver, or "
        'containerd.configured(cgroup_driver="systemd"), after draining the node; '
        'kubelet.configured(settings={"cgroupDriver": "systemd"}), or prepare with '
        "kubenode_kubelet, for kubelet; exec-opts in Docker's daemon.json, "
        "cgroup_manager in crio.conf",
        operation="containerd.configured",
        sources=(
            _DRIVERS,
            "https://github.com/containerd/containerd/issues/4857",
            "https://github.com/kubernetes/kubernetes/issues/111776",
        ),
    ),
    Check(
        id="cgroup-driver.wanted",
        title="The cgroup driver is the one that is wanted (systemd)",
        severity="fail",
        expected="the systemd driver",
        why="With systemd as PID 1, systemd manages the cgroup tree: a runtime that writes to it "
        "behind its back makes nodes unstable under memory pressure. kubenode_cgroup_driver says "
        "which driver is wanted.",
        judge=_as_wanted,
        remedy="kubenode.node.prepare, or "
        'containerd.configured(cgroup_driver="systemd"), after draining the '
        "node",
        operation="containerd.configured",
        sources=(_DRIVERS,),
    ),
    Check(
        id="cgroup-driver.placement",
        title="Running containers are in their pod's slice",
        severity="fail",
        expected="/kubepods.slice/.../cri-containerd-ID.scope, or /kubepods/... with cgroupfs",
        why="A container outside its pod's slice runs without the pod's limits and is not counted "
        "for it. It is the trace of drivers that differed when the container was made, also after "
        "the files were corrected: such containers must be made again.",
        judge=_placement,
        remedy=f"fix {DRIVER_AGREEMENT.id}, then drain the node or delete the pods",
        sources=(_DRIVERS,),
    ),
)
