"""Exchange the Docker Engine of a host for another vendor's or another release: one command on the
host, after which cri-dockerd serves, or what was there before is back. RPMs come to a host that has
no engine in the same way: all of them, in the versions that were chosen, or none."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand

from kubenode.facts.candidates import Candidates
from kubenode.facts.docker import Docker, DockerPackageShape, DockerServiceShape
from kubenode.facts.package_versions import PackageVersions, PackageVersionsShape
from kubenode.facts.repositories import Repositories
from kubenode.operations import package_hold, package_steps
from kubenode.operations import packages as package_operations
from kubenode.operations.docker_host import daemon_of, service_of, state
from kubenode.packages.choice import choose
from kubenode.packages.package_change import PackageChange
from kubenode.packages.source import Repository
from kubenode.run.telling import explain, refuse
from kubenode.runtimes import program_change
from kubenode.runtimes.docker import daemon_json, packages
from kubenode.runtimes.restart import Restart, postponed
from kubenode.wire import joint_reading

Commands = Generator[StringCommand | FunctionCommand, Any, None]

_CANNOT_TELL = "cannot tell which versions of Docker Engine there are, see the lines above"


class Wanted(NamedTuple):
    """The packages that come.

    + names: the engine first
    + repository: where they are from; None is what the host has
    + version: of the engine and its client
    + hold: keep upgrades from them
    + restart: see :func:`kubenode.operations.docker.installed`
    + by: ``apt-get``, ``dnf`` or ``zypper``
    """

    names: Sequence[str]
    repository: Repository | Literal["docker"] | None
    version: str | None
    hold: bool
    restart: Restart | None
    by: str


def gate(restart: Restart | None) -> str | None:
    """Why the engine that runs may not be exchanged now.

    + restart: as the user wants it
    """
    daemon = joint_reading.get_fact_now(Docker)
    count = None if daemon is None else state(daemon).restarted
    why = postponed(restart, count, pods_survive=False)
    return None if why is None else f"Docker Engine would be exchanged, and {why}"


def steps(now: DockerPackageShape, wanted: Wanted) -> Commands:
    """
    The commands that exchange the engine; it may be, see :func:`gate`.

    + now: what the host has
    + wanted: what comes
    """
    names = list(wanted.names)
    source = None
    if wanted.repository is not None:
        repository = wanted.repository
        name = repository if isinstance(repository, str) else repository.name
        there = joint_reading.get_fact(Repositories, repository=name)
        planned = (
            "cannot tell where packages come from, see the lines above"
            if there is None
            else package_operations.planned_source(repository, there, wanted.by)
        )
        if isinstance(planned, str):
            yield refuse(host, planned)
            return
        source = planned._replace(keeps=_there(now))
        package_operations.explain_source(source)
    explain(host, _beforehand(now, names, wanted))
    if wanted.hold and (problem := package_hold.problem(names, wanted.by)):
        yield refuse(host, f"{problem}: nothing was changed")
        return
    if source is not None:
        yield from package_operations.prove(source)
        if source.change.files and (problem := _not_offered(now, source.repository, wanted)):
            yield refuse(host, f"{problem}: nothing was changed")
            return
        yield from package_operations.put_in_place(source)
    finishes = now["dpkg_interrupted"] or now["dpkg_at_work"] is not None
    yield from package_steps.ready(wanted.by, names, finishes=finishes)
    brought = _brought(now, wanted)
    versions = joint_reading.get_fact_now(PackageVersions, packages=[*names, *brought])
    daemon = joint_reading.get_fact_now(Docker)
    if versions is None or daemon is None:
        yield refuse(host, _CANNOT_TELL)
        return
    is_other = now["package"] is not None and now["package"]["name"] != names[0]
    asked = _asked(wanted, None if source is None else source.repository, is_other)
    change = _change(now, wanted, asked, versions, brought)
    # somebody may have started one meanwhile
    problem = change if isinstance(change, str) else None
    if now["engine_active"] is not False:
        problem = problem or gate(wanted.restart)
    if isinstance(change, str) or problem:
        yield refuse(host, f"{problem}: nothing was installed")
        return
    yield from _exchanged(change, daemon, wanted.by)
    after = joint_reading.get_fact_now(PackageVersions, packages=[*names, *brought])
    if after is None:
        yield refuse(host, _CANNOT_TELL)
        return
    spared = package_operations.unspared(after, asked)
    package_steps.tell_files(spared)
    yield from package_steps.write(spared)


def _not_offered(now: DockerPackageShape, repository: Repository, wanted: Wanted) -> str | None:
    """Why a repository that is proven, and not in place yet, has not what is wanted."""
    versions = packages.versions(wanted.names, wanted.version) or {}
    there = _there(now)
    names = [name for name in wanted.names if name in versions or name not in there]
    lists = joint_reading.get_fact_now(Candidates, packages=names, staged=repository.name)
    if lists is None:
        return _CANNOT_TELL
    refusals = []
    for name, offered in lists["packages"].items():
        choice = choose([each["version"] for each in offered], versions.get(name))
        if choice.refusal:
            refusals.append(f"{name}: {repository.url} {choice.refusal}")
    return "; ".join(refusals) or None


def _there(now: DockerPackageShape) -> list[str]:
    """Packages that an exchange may change, of what is installed."""
    names = [package["name"] for package in now["packages"]]
    return [name for name in names if name in packages.EXCHANGED]


def _beforehand(now: DockerPackageShape, names: Sequence[str], wanted: Wanted) -> str:
    there = [package["name"] for package in now["packages"]]
    going = packages.in_the_way(names, there)
    goes = f", and {', '.join(going)} {'goes' if len(going) == 1 else 'go'} for it" if going else ""
    if not now["engine_active"]:
        return f"install {' '.join(names)}: {wanted.version or 'what there is'}{goes}"
    return (
        f"Docker Engine {now['version']} -> {' '.join(names)} {wanted.version or '(what there is)'}"
        f"{goes}; the data root stays, and what is there now comes back where cri-dockerd does not "
        "serve over the new one"
    )


def _asked(
    wanted: Wanted, repository: Repository | None, is_other: bool
) -> package_operations.Wanted:
    """What is asked for.

    + is_other: whether it is another vendor's: containerd.io has the same name at all of them, and
      becomes theirs unless it is newer already
    """
    # containerd.io has versions of its own
    rest = tuple(name for name in wanted.names if name.startswith("containerd"))
    versions = packages.versions(wanted.names, wanted.version)
    newest = rest if is_other and repository is not None else ()
    if wanted.by != "apt-get" and repository is None:
        # rpm is told which version comes: apt alone says what it would take
        newest = tuple(wanted.names)
    return package_operations.Wanted(list(wanted.names), repository, versions, wanted.hold, newest)


def _brought(now: DockerPackageShape, wanted: Wanted) -> list[str]:
    """Names of packages that an engine stands on and a host lacks, of a distribution's RPMs.

    Docker's containerd.io is both of them to dnf and zypper: they would take that, also one that
    goes.
    """
    below = packages.below(wanted.names[0]) if wanted.by != "apt-get" else ()
    there = _there(now)
    return [name for name in below if name not in there]


def _change(
    now: DockerPackageShape,
    wanted: Wanted,
    asked: package_operations.Wanted,
    versions: PackageVersionsShape,
    brought: Sequence[str],
) -> PackageChange | str:
    """What the package manager shall do; text says why it may not."""
    chosen = package_operations.selection(versions, asked)
    if chosen.blocked:
        return chosen.blocked
    comes = {name: version for name, version in chosen.installs.items() if version is not None}
    if len(comes) != len(chosen.installs):
        return _CANNOT_TELL
    if versions["candidates"] is not None:
        for name in brought:
            offered = versions["candidates"]["packages"][name]
            if version := choose([each["version"] for each in offered]).version:
                comes[name] = version
    there = {package["name"]: package["version"] for package in now["packages"]}
    related = _there(now)
    if wanted.by != "apt-get":
        # of what comes with it these go again where that is undone; apt tells all of it
        related = list(dict.fromkeys([*related, *packages.EXCHANGED]))
    held = {package["name"] for package in now["packages"] if package["held"]}
    return PackageChange(
        installs=comes,
        removes=packages.in_the_way(wanted.names, list(there)),
        now={name: there[name] for name in _there(now)},
        related=related,
        holds=[name for name in wanted.names if wanted.hold or name in held],
    )


def _exchanged(change: PackageChange, daemon: DockerServiceShape, by: str) -> Commands:
    hold = package_hold.planned(change.holds, by)
    # what a file says is written where all files are, and not by what changes packages
    change = replace(change, holds=hold.names if hold.conf is None else ())
    program = program_change.of_packages("Docker Engine", change, by)
    explain(host, program.explained)
    yield program_change.change(
        program, {}, daemon_json.PATH, daemon_of(daemon), service_of(daemon["unit"], daemon)
    )
    if hold.conf is not None:
        yield from package_hold.held(hold)
