"""Cgroup drivers: one for all components, and the trace that two of them leave on a live node."""

from __future__ import annotations

from kubenode.checks.check import (
    Check,
    Evidence,
    Subject,
    Verdict,
    met,
    not_applicable,
    unknown,
    violated,
)
from kubenode.checks.runtime import any_config_trouble, drop_in_trouble
from kubenode.facts.cgroup import ComponentShape


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
    if (
        "kubelet" in components
        and components["kubelet"]["driver"] == "cgroupfs"
        and not components["kubelet"]["stated"]
        and subject.kubelet["config"] is None
        and subject.kubelet["active"] is False
    ):
        del components["kubelet"]
    return components


def _follows_from(subject: Subject, components: dict[str, ComponentShape]) -> str | None:
    """The check whose finding explains drivers that differ, or that nobody can tell."""
    containerd_is_unknown = components.get("containerd", {"driver": "systemd"})["driver"] is None
    if containerd_is_unknown and any_config_trouble(subject.containerd):
        return (
            "containerd.drop-in-version"
            if drop_in_trouble(subject.containerd)
            else "containerd.config-readable"
        )
    if "kubelet" in components and components["kubelet"]["driver"] is None:
        return "kubelet.config-readable" if subject.kubelet["error"] else None
    return None


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
        return not_applicable(f"{found}: see {cause}")
    return violated(found, *evidence) if len(drivers - {None}) > 1 else unknown(found, *evidence)


def _as_wanted(subject: Subject) -> Verdict:
    components = _components(subject)
    if not components:
        return not_applicable("no runtime and no kubelet")
    known = {component["driver"] for component in components.values()} - {None}
    if len(known) > 1:
        return not_applicable("they differ, see cgroup-driver.agreement")
    evidence = [_evidence(name, component) for name, component in components.items()]
    driver = next(iter(known), None)
    wanted = subject.aim.cgroup_driver
    if driver == wanted:
        return met(f"{driver} ({', '.join(components)})", *evidence)
    found = f"{driver or 'unknown'} ({', '.join(components)})"
    if cause := _follows_from(subject, components):
        return not_applicable(f"{found}: see {cause}")
    if driver is None:
        return unknown("no component's driver can be told", *evidence)
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
        remedy="deploy.py with kubenode_cgroup_driver, or "
        'containerd.configured(cgroup_driver="systemd"), after draining the node; '
        "set cgroupDriver in kubelet's configuration, exec-opts in Docker's daemon.json, "
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
        remedy='deploy.py, or containerd.configured(cgroup_driver="systemd"), after draining the '
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
        "the files were corrected: such containers must be made anew.",
        judge=_placement,
        remedy="mend cgroup-driver.agreement, then drain the node or delete the pods",
        sources=(_DRIVERS,),
    ),
)
