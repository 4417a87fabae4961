"""The distribution's own containerd: the steps of ``containerd.installed`` for it."""

from __future__ import annotations

from pyinfra import host

from kubenode.kubelet.containerd_choice import Decision
from kubenode.operations import containerd_sources, package_hold, package_steps
from kubenode.operations.containerd_sources import Commands, Found, Wanted
from kubenode.packages.choice import is_series
from kubenode.packages.installation import installation
from kubenode.run.telling import explain, refuse


def steps(wanted: Wanted, found: Found) -> Commands:
    """The commands after which the distribution's containerd is there, or what was there stays.

    + wanted: what is asked for
    + found: what the host has
    """
    name = wanted.package
    lists = None
    if not found.is_fresh:
        if wanted.version is not None and is_series(wanted.version):
            lists = containerd_sources.lists_of(name)
        there = containerd_sources.available(lists, name) or ()
        decision = containerd_sources.decided(wanted, found, there)
        if decision.version is None and decision.refusal is None:
            yield from containerd_sources.left(wanted, found, decision)
            return
        if found.program.package is None and found.build is None:
            yield refuse(host, containerd_sources.of_nobody(found.program, wanted))
            return
    by = containerd_sources.package_manager()
    if by is None:
        yield refuse(host, containerd_sources.NO_MANAGER)
    elif found.is_fresh:
        yield from _installed(wanted, found, by)
    else:
        versions = containerd_sources.available(lists or containerd_sources.lists_of(name), name)
        known = containerd_sources.decided(wanted, found, versions)
        if why := containerd_sources.waiting(wanted, found, known):
            yield from containerd_sources.left_waiting(wanted, found, known, why)
            return
        told = containerd_sources.beforehand(wanted, found, known)
        explain(host, f"fetch the lists of packages, then {told}")
        package_steps.tell_files(found.unspared)
        if problem := containerd_sources.foretell(wanted, found, known):
            yield refuse(host, problem)
            return
        yield from containerd_sources.finished(found, by, name)
        yield from package_steps.ready(by, [name], finishes=False)
        decision = _decided_by_lists(wanted, found, by)
        yield from containerd_sources.exchanged(wanted, found, by, decision)


def _installed(wanted: Wanted, found: Found, by: str) -> Commands:
    """A host without a containerd that works gets the distribution's."""
    name = wanted.package
    to_do = installation(found.program, name, wanted.version, wanted.hold)
    problem = to_do.blocked or package_hold.problem([to_do.holds] if to_do.holds else [], by)
    if problem:
        yield refuse(host, f"{problem}: nothing was changed")
        return
    for sentence in to_do.explained(by):
        explain(host, sentence)
    if wanted.kubernetes is not None and wanted.version is None:
        release = ".".join(map(str, wanted.kubernetes))
        explain(host, f"it is the newest that fits Kubernetes {release}, else the host is refused")
    package_steps.tell_files(found.unspared)
    yield from package_steps.ready(by, [name], finishes=to_do.finishes_dpkg)
    decision = _decided_by_lists(wanted, found, by)
    if decision.refusal:
        yield refuse(host, f"{decision.refusal}: nothing was changed")
        return
    containerd_sources.warn(decision)
    yield from containerd_sources.installed_beside_nothing(wanted, found, by, decision.version)


def _decided_by_lists(wanted: Wanted, found: Found, by: str) -> Decision:
    """What is decided once the lists of packages have been fetched."""
    if by != "apt-get" and wanted.version is None and wanted.kubernetes is None:
        # its own rules count, such as priorities of repositories: what it takes is right
        return Decision()
    name = wanted.package
    lists = containerd_sources.lists_of(name)
    if lists is None and by != "apt-get" and wanted.version and not is_series(wanted.version):
        # it says itself what is wrong with that one
        return Decision(wanted.version)
    preferred = lists["preferred"][name] if lists else None
    return containerd_sources.decided(
        wanted, found, containerd_sources.available(lists, name), preferred
    )
