"""containerd of a repository, Docker's or another: the steps of ``containerd.installed`` for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pyinfra import host

from kubenode.facts.repositories import Repositories
from kubenode.kubelet.containerd_choice import Decision
from kubenode.operations import containerd_sources, package_steps
from kubenode.operations import packages as package_operations
from kubenode.operations.containerd_sources import (
    Commands,
    Found,
    Wanted,
    available,
    decided,
    lists_of,
)
from kubenode.packages import repository_proof
from kubenode.packages.choice import is_series
from kubenode.packages.repository_change import RepositoryChange
from kubenode.packages.source import Repository
from kubenode.run.telling import explain, refuse
from kubenode.runtimes.containerd import packages
from kubenode.wire import joint_reading


def steps(wanted: Wanted, source: Repository | Literal["docker"], found: Found) -> Commands:
    """The commands after which a repository's containerd is there, and the host has the repository.

    + wanted: what is asked for
    + source: the repository
    + found: what the host has
    """
    name = source if isinstance(source, str) else source.name
    now = joint_reading.get_fact(Repositories, repository=name)
    by = now["package_manager"] if now else None
    if now is None or by is None:
        yield refuse(
            host, containerd_sources.NO_MANAGER if now else "cannot tell where packages come from"
        )
        return
    # what goes does not depend on the version
    going = packages.exchange(found.packages, wanted.package, "", wanted.hold)
    if refusal := packages.refusal(found.packages, going):
        yield refuse(host, f"{refusal}: nothing was changed")
        return
    planned = package_operations.planned_source(source, now, by)
    if isinstance(planned, str):
        yield refuse(host, planned)
        return
    known = _left_as_it_is(wanted, found, planned.change)
    if known is not None:
        yield from containerd_sources.left(wanted, found, known)
        return
    if found.program.package is None and found.program.binary and found.build is None:
        yield refuse(host, containerd_sources.of_nobody(found.program, wanted))
        return
    by_now = Decision()
    if planned.change.is_empty:
        by_lists = available(lists_of(wanted.package), wanted.package, planned.repository)
        by_now = decided(wanted, found, by_lists)
        if why := containerd_sources.waiting(wanted, found, by_now):
            yield from containerd_sources.left_waiting(wanted, found, by_now, why)
            return
    if not found.is_fresh and (_needs_program(wanted, found) or by_now.version is not None):
        planned = planned._replace(keeps=[wanted.package])
    package_operations.explain_source(planned)
    if _needs_program(wanted, found) or by_now.version is not None:
        explain(host, containerd_sources.beforehand(wanted, found, by_now))
        package_steps.tell_files(found.unspared)
        if problem := containerd_sources.foretell(wanted, found, by_now):
            yield refuse(host, problem)
            return
    if planned.change.files:
        yield from package_operations.prove(planned)
        staged = available(lists_of(wanted.package, name), wanted.package)
        refusal = decided(wanted, found, staged).refusal
        if refusal:
            yield refuse(host, f"{refusal}: nothing was changed")
            return
    yield from package_operations.put_in_place(planned)
    if not planned.change.fetches:
        yield repository_proof.fetch_lists(planned.repository, by)
    lists = available(lists_of(wanted.package), wanted.package, planned.repository)
    decision = decided(wanted, found, lists)
    if decision.version is None and decision.refusal is None:
        yield from containerd_sources.left(wanted, found, decision)
        return
    yield from containerd_sources.finished(found, by, wanted.package)
    if not found.is_fresh:
        yield from containerd_sources.exchanged(wanted, found, by, decision)
    elif decision.version is None:
        yield refuse(host, f"{decision.refusal}: nothing was changed")
    else:
        # what it depends on is the distribution's
        yield from package_steps.ready(by, [wanted.package], finishes=False)
        containerd_sources.warn(decision)
        yield from containerd_sources.installed_beside_nothing(wanted, found, by, decision.version)


def _needs_program(wanted: Wanted, found: Found) -> bool:
    return found.is_fresh or decided(wanted, found, ()).refusal is not None


def _left_as_it_is(wanted: Wanted, found: Found, to_do: RepositoryChange) -> Decision | None:
    """The decision when neither the repository nor the program has to change, None otherwise."""
    if found.is_fresh or not to_do.is_empty:
        return None
    versions: Sequence[str] = ()
    if wanted.version is not None and is_series(wanted.version):
        versions = available(lists_of(wanted.package), wanted.package) or ()
    decision = decided(wanted, found, versions)
    return decision if decision.version is None and decision.refusal is None else None
