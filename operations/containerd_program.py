"""The steps of ``containerd.installed``: install containerd, or change the one that is there."""

from __future__ import annotations

from typing import Any

from pyinfra import host

from kubenode.facts import image_based, left_alone
from kubenode.facts.archives import Archives
from kubenode.facts.containerd import ContainerdPackage, ContainerdPackageShape
from kubenode.facts.repositories import Repositories
from kubenode.operations import (
    containerd_archive,
    containerd_distribution,
    containerd_repository,
    interrupted_change,
    other_runtime,
)
from kubenode.operations.containerd_sources import Commands, Found, Wanted
from kubenode.packages.archive import Archive
from kubenode.packages.installation import Installed, Program
from kubenode.packages.left_alone import changes
from kubenode.packages.source import Repository
from kubenode.run.telling import refuse
from kubenode.runtimes.containerd import packages
from kubenode.runtimes.containerd.source import Source
from kubenode.runtimes.runtime import CONTAINERD
from kubenode.wire import joint_reading
from kubenode.wire.probe_fact import ProbeFact

_CANNOT_TELL = "cannot tell whether containerd is installed, see the lines above"


def facts(source: Source) -> list[tuple[type[ProbeFact[Any]], dict[str, Any]]]:
    """The facts that :func:`steps` reads first, with their arguments.

    + source: where containerd is from
    """
    read: list[tuple[type[ProbeFact[Any]], dict[str, Any]]] = [(ContainerdPackage, {})]
    if isinstance(source, Archive):
        read.append((Archives, {}))
    elif source != "distribution":
        name = source.name if isinstance(source, Repository) else source
        read.append((Repositories, {"repository": name}))
    return read


def steps(wanted: Wanted) -> Commands:
    """
    The commands after which the containerd that is wanted is installed, and held.

    + wanted: what is asked for
    """
    shape = joint_reading.get_fact(ContainerdPackage)
    if shape is not None and (image := image_based.refusal(shape["system"])):
        yield refuse(host, image)
        return
    if (yield from interrupted_change.ended(shape["change"] if shape else None)):
        shape = joint_reading.get_fact_now(ContainerdPackage)
    if shape is None:
        yield refuse(host, _CANNOT_TELL)
        return
    if problem := other_runtime.problem(shape["runtimes"], CONTAINERD, wanted.replace_runtime):
        yield refuse(host, problem)
        return
    found = _found(shape, wanted)
    if isinstance(wanted.source, Archive):
        yield from containerd_archive.steps(wanted, wanted.source, found)
    elif wanted.source == "distribution":
        yield from containerd_distribution.steps(wanted, found)
    else:
        yield from containerd_repository.steps(wanted, wanted.source, found)


def _found(shape: ContainerdPackageShape, wanted: Wanted) -> Found:
    package = Installed(**shape["package"]) if shape["package"] else None
    program = Program(
        shape["binary"],
        shape["version"],
        package,
        shape["dpkg_interrupted"],
        shape["dpkg_at_work"],
    )
    archives = None
    if isinstance(wanted.source, Archive):
        archives = joint_reading.get_fact(Archives)
    # what a package brings is not in /usr/local
    elif (shape["binary"] or "").startswith("/usr/local/"):
        archives = joint_reading.get_fact_now(Archives)
    unspared = changes(packages.LEFT_ALONE, left_alone.contents(shape["left_alone"]))
    if not (wanted.hold and shape["left_alone"]["apt"]):
        unspared = []
    return Found(shape, program, archives, unspared)
