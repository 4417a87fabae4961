"""The steps of ``containerd.installed``: install containerd, or change the one that is there."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from datetime import date
from typing import Any, Literal, NamedTuple

from packaging.version import Version
from pyinfra import host, logger
from pyinfra.api import FileUploadCommand, FunctionCommand, StringCommand
from pyinfra.operations import apt

from kubenode.facts.archives import Archives, ArchivesShape
from kubenode.facts.candidates import Candidates, CandidatesShape
from kubenode.facts.containerd import ContainerdPackage, ContainerdPackageShape
from kubenode.facts.platform import Platform
from kubenode.facts.repositories import Repositories
from kubenode.kubelet.containerd_choice import Asked, Decision, Present, decide
from kubenode.operations import containerd_exchange
from kubenode.operations import packages as package_operations
from kubenode.packages import (
    archive,
    archive_cache,
    archive_transfer,
    guarded_install,
    manager,
    package_locks,
    repository_proof,
)
from kubenode.packages.archive import Archive, Build
from kubenode.packages.archive_transfer import FetchedBy
from kubenode.packages.choice import is_series, upstream_of
from kubenode.packages.installation import Installed, Program, installation
from kubenode.packages.package_change import PackageChange
from kubenode.packages.repository_change import RepositoryChange
from kubenode.packages.source import Repository
from kubenode.run.pyinfra_internals import is_executing, nested, print_prefix
from kubenode.run.telling import explain, refuse
from kubenode.runtimes import archive_program, other_runtimes, program_change
from kubenode.runtimes.containerd import packages
from kubenode.runtimes.containerd.source import Source
from kubenode.runtimes.restart import Restart
from kubenode.runtimes.runtime import CONTAINERD
from kubenode.wire import joint_reading
from kubenode.wire.probe_fact import ProbeFact

Commands = Generator[StringCommand | FunctionCommand | FileUploadCommand, Any, None]

DOCKER = "docker"
_NO_MANAGER = "no known package manager (apt-get, dnf, zypper): install containerd yourself"
_CANNOT_TELL = "cannot tell whether containerd is installed, see the lines above"


class Wanted(NamedTuple):
    """What :func:`kubenode.operations.containerd.installed` is asked for; see its arguments."""

    version: str | None
    hold: bool
    source: Source
    kubernetes: tuple[int, int] | None
    restart: Restart | None
    fetched_by: FetchedBy

    @property
    def source_name(self) -> str:
        """As messages and :func:`kubenode.kubelet.containerd_choice.decide` know it."""
        if isinstance(self.source, Repository):
            return self.source.name
        return "archive" if isinstance(self.source, Archive) else self.source

    @property
    def package(self) -> str:
        """The package that its source has."""
        if isinstance(self.source, Repository):
            return self.source.packages[0]
        return "containerd.io" if self.source == DOCKER else packages.DEFAULT


class _Found(NamedTuple):
    """What a host has."""

    shape: ContainerdPackageShape
    program: Program
    archives: ArchivesShape | None
    """None: nobody asked, since containerd is from a package."""

    @property
    def packages(self) -> dict[str, str]:
        """Version by name of the packages that have to do with it."""
        return {package["name"]: package["version"] for package in self.shape["packages"]}

    @property
    def build(self) -> str | None:
        """The name of the archive's build that is in use."""
        return self.archives["current"] if self.archives else None

    @property
    def is_fresh(self) -> bool:
        """Whether there is no program that works, so that nothing can be lost."""
        package = self.program.package
        return not self.program.binary or (
            package is not None and not package.configured and self.build is None
        )

    @property
    def release(self) -> Version | None:
        """containerd's."""
        return Version(self.program.version) if self.program.version else None


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
    if shape is not None and shape["change"]:
        explain(host, _interrupted(shape["change"]))
        yield program_change.settle()
        shape = joint_reading.get_fact_now(ContainerdPackage)
    if shape is None:
        yield refuse(host, _CANNOT_TELL)
        return
    if problem := other_runtimes.refusal(shape["runtimes"], CONTAINERD):
        yield refuse(host, f"{': '.join(problem)}: nothing was changed")
        return
    found = _found(shape, wanted)
    if isinstance(wanted.source, Archive):
        yield from _from_archive(wanted, wanted.source, found)
    elif wanted.source == "distribution":
        yield from _from_distribution(wanted, found)
    else:
        yield from _from_repository(wanted, wanted.source, found)


def _found(shape: ContainerdPackageShape, wanted: Wanted) -> _Found:
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
    return _Found(shape, program, archives)


def _interrupted(change: str) -> str:
    return (
        f"a change was interrupted ({change}): it is kept where it came to its end and containerd "
        "serves, else what was before comes back; then the host is read again"
    )


def _of_nobody(program: Program, wanted: Wanted) -> str:
    asked = wanted.version or f"what {wanted.source_name} has"
    return (
        f"containerd {program.version} at {program.binary} is from no package, so it cannot be "
        f"changed to {asked}: remove it first, or do not ask for another version"
    )


def _package_manager() -> str | None:
    platform = joint_reading.get_fact_now(Platform)
    return platform["package_manager"] if platform else None


def _available(
    lists: CandidatesShape | None, name: str, repository: Repository | None = None
) -> list[str] | None:
    if lists is None:
        return None
    versions = [
        each["version"]
        for each in lists["packages"].get(name, [])
        if repository is None or package_operations.is_from(repository, each["origin"])
    ]
    # two sources may have the same
    return list(dict.fromkeys(versions))


def _decided(wanted: Wanted, found: _Found, available: Sequence[str] | None) -> Decision:
    present = None
    package = found.program.package
    if not found.is_fresh and _is_from(wanted, found):
        present = Present(found.release, package.version if package else None)
    asked = Asked(wanted.version, wanted.kubernetes, wanted.source_name)
    return decide(asked, available, present, date.today())


def _is_from(wanted: Wanted, found: _Found) -> bool:
    """Whether what is there may stay for this source: any may for the distribution's, unless a
    version is asked for; what somebody chose otherwise is not taken for it."""
    package = found.program.package
    if wanted.source == "distribution":
        return True
    return found.build is None and package is not None and package.name == wanted.package


def _warn(decision: Decision) -> None:
    for warning in decision.warnings:
        logger.warning(f"{print_prefix(host)}{warning}")


def _lists(name: str, staged: str | None = None) -> CandidatesShape | None:
    return joint_reading.get_fact_now(Candidates, packages=[name], staged=staged)


def _left(wanted: Wanted, found: _Found, decision: Decision) -> Commands:
    """What is there stays; it is held where it should be."""
    _warn(decision)
    package = found.program.package
    if package is None or package.held or not wanted.hold or found.build is not None:
        host.noop(f"containerd is installed: {found.program}")
        return
    by = _package_manager()
    if by is None:
        yield refuse(host, f"{package.name} cannot be held: no known package manager")
        return
    explain(host, f"hold {package.name}: upgrades leave it alone")
    yield package_locks.patiently(by, manager.hold(by, package.name))


# ---- From the distribution


def _from_distribution(wanted: Wanted, found: _Found) -> Commands:
    name = wanted.package
    lists = None
    if not found.is_fresh:
        if wanted.version is not None and is_series(wanted.version):
            lists = _lists(name)
        decision = _decided(wanted, found, _available(lists, name) or ())
        if decision.version is None and decision.refusal is None:
            yield from _left(wanted, found, decision)
            return
        if found.program.package is None and found.build is None:
            yield refuse(host, _of_nobody(found.program, wanted))
            return
    by = _package_manager()
    if by is None:
        yield refuse(host, _NO_MANAGER)
    elif found.is_fresh or by != "apt-get":
        yield from _installed(wanted, found, by)
    else:
        known = _decided(wanted, found, _available(lists or _lists(name), name))
        explain(host, f"fetch the lists of packages, then {_beforehand(wanted, found, known)}")
        yield from _finished(found, by, name)
        yield package_locks.with_lists_fetched(manager.simulated(name, is_pinned=False))
        yield from _exchanged(wanted, found, by, _decided_by_lists(wanted, found, by))


def _finished(found: _Found, by: str, name: str) -> Commands:
    if found.program.dpkg_interrupted:
        explain(host, "dpkg was interrupted: it finishes what it began (dpkg --configure -a)")
        yield package_locks.patiently(by, manager.finish(by, [name]))


def _installed(wanted: Wanted, found: _Found, by: str) -> Commands:
    """A host without a containerd that works gets the distribution's."""
    name = wanted.package
    to_do = installation(found.program, name, wanted.version, wanted.hold)
    problem = to_do.blocked or _not_by(by, wanted)
    if problem:
        yield refuse(host, f"{problem}: nothing was changed")
        return
    for sentence in to_do.explained(by):
        explain(host, sentence)
    if wanted.kubernetes is not None and wanted.version is None:
        release = ".".join(map(str, wanted.kubernetes))
        explain(host, f"it is the newest that fits Kubernetes {release}, else the host is refused")
    if to_do.finishes_dpkg:
        yield package_locks.patiently(by, manager.finish(by, [name]))
    if to_do.holds and by in manager.ABLE_TO_HOLD:
        yield package_locks.patiently(by, manager.ABLE_TO_HOLD[by])
    is_chosen = wanted.kubernetes is not None or wanted.version is not None
    if by == "apt-get":
        yield package_locks.with_lists_fetched(manager.simulated(name, is_pinned=False))
    decision = _decided_by_lists(wanted, found, by)
    if is_chosen and decision.version is None:
        yield refuse(host, f"{decision.refusal}: nothing was changed")
        return
    _warn(decision)
    package = found.program.package
    yield from _install(
        by,
        name,
        decision.version if is_chosen else None,
        is_held=package is not None and package.held,
        unpack_again=to_do.finishes_dpkg,
    )
    if to_do.holds:
        yield package_locks.patiently(by, manager.hold(by, to_do.holds))


def _not_by(by: str, wanted: Wanted) -> str | None:
    """Why a package manager cannot be asked for that, None when it can."""
    if by == "apt-get" or (wanted.version is not None and not is_series(wanted.version)):
        return None
    if wanted.version is None and wanted.kubernetes is None:
        return None
    asked = f"{wanted.version} is a series" if wanted.version else "a Kubernetes release is set"
    return (
        f"{asked}, and kubenode does not ask {by} so far which versions it has: set "
        "kubenode_containerd_version to one package version in full"
    )


def _decided_by_lists(wanted: Wanted, found: _Found, by: str) -> Decision:
    """What is decided once the lists of packages have been fetched."""
    if by != "apt-get":
        # dnf and zypper fetch their lists while they install
        if wanted.version is not None:
            return Decision(wanted.version)
        return _decided(wanted, found, None)
    return _decided(wanted, found, _available(_lists(wanted.package), wanted.package))


def _install(
    by: str, name: str, version: str | None, is_held: bool = False, unpack_again: bool = False
) -> Commands:
    wanted = manager.pinned(by, name, version)
    if by != "apt-get":
        change = manager.change_held(by, name, wanted) if is_held else None
        yield package_locks.patiently(by, change or manager.install(by, wanted))
        return
    if unpack_again:
        yield package_locks.patiently(by, manager.UNPACK_AGAIN)
    options = manager.apt_options(version is not None, package_locks.WAIT_SECONDS)
    commands: Iterable[Any] | None = nested(
        apt.packages,
        packages=[wanted],
        no_recommends=True,
        allow_downgrades=version is not None,
        extra_install_args=options,
    )
    if commands is None:
        commands = [manager.install(by, wanted, options)]
    for command in commands:
        yield package_locks.patiently(by, str(command))


def _beforehand(wanted: Wanted, found: _Found, known: Decision) -> str:
    """What is going to be changed, as far as it is known before the lists are fetched."""
    of = f"the newest {wanted.version}" if wanted.version else "the newest"
    fits = ".".join(map(str, wanted.kubernetes or ()))
    to = known.version or (f"{of} that fits Kubernetes {fits}" if fits else of)
    if found.is_fresh:
        return f"install {wanted.package}: {to}"
    return (
        f"containerd {found.program.version} -> {to} ({wanted.package}): the old one comes back "
        "where the new one does not serve"
    )


def _exchanged(wanted: Wanted, found: _Found, by: str, decision: Decision) -> Commands:
    """What is there gives way to a package's, in one command on the host: proven, or undone."""
    if decision.version is None:
        yield refuse(host, f"{decision.refusal}: nothing was changed")
        return
    _warn(decision)
    name, version = wanted.package, decision.version
    package = found.program.package
    # a package that apt installs again loses its hold
    is_held = package is not None and package.held and package.name == name
    change = packages.exchange(found.packages, name, version, wanted.hold or is_held)
    if problem := packages.refusal(found.packages, change):
        yield refuse(host, f"{problem}: nothing was changed")
        return
    if found.build is not None:
        program = archive_program.of_archive(
            None, found.build, found.program.version, packages=change, manager=by
        )
    else:
        program = program_change.of_packages(f"{name} {version}", change, by)
    plan = containerd_exchange.planned(upstream_of(version), wanted.restart)
    if not (plan.refusal or plan.postponed):
        containerd_exchange.tell(program.explained, plan)
    yield from containerd_exchange.exchanged(program, plan)


# ---- From a repository


def _from_repository(
    wanted: Wanted, source: Repository | Literal["docker"], found: _Found
) -> Commands:
    name = source if isinstance(source, str) else source.name
    now = joint_reading.get_fact(Repositories, repository=name)
    by = now["package_manager"] if now else None
    if now is None or by is None:
        yield refuse(host, _NO_MANAGER if now else "cannot tell where packages come from")
        return
    planned = package_operations.planned_source(source, now, by)
    if isinstance(planned, str):
        yield refuse(host, planned)
        return
    known = _left_as_it_is(wanted, found, planned.change)
    if known is not None:
        yield from _left(wanted, found, known)
        return
    if found.program.package is None and found.program.binary and found.build is None:
        yield refuse(host, _of_nobody(found.program, wanted))
        return
    package_operations.explain_source(planned)
    if _needs_program(wanted, found):
        explain(host, _beforehand(wanted, found, Decision()))
    if planned.change.files:
        yield from package_operations.prove(planned)
        staged = _available(_lists(wanted.package, name), wanted.package)
        refusal = _decided(wanted, found, staged).refusal
        if refusal:
            yield refuse(host, f"{refusal}: nothing was changed")
            return
    yield from package_operations.put_in_place(planned)
    if not planned.change.fetches:
        yield repository_proof.fetch_lists(planned.repository, by)
    lists = _available(_lists(wanted.package), wanted.package, planned.repository)
    decision = _decided(wanted, found, lists)
    if decision.version is None and decision.refusal is None:
        yield from _left(wanted, found, decision)
        return
    yield from _finished(found, by, wanted.package)
    if not found.is_fresh:
        yield from _exchanged(wanted, found, by, decision)
    elif decision.version is None:
        yield refuse(host, f"{decision.refusal}: nothing was changed")
    else:
        _warn(decision)
        yield from _installed_beside_nothing(wanted, found, by, decision.version)


def _installed_beside_nothing(wanted: Wanted, found: _Found, by: str, version: str) -> Commands:
    """A host without a containerd that works gets a repository's; what conflicts with it goes."""
    name = wanted.package
    change = packages.exchange(found.packages, name, version, wanted.hold)
    if problem := packages.refusal(found.packages, change):
        yield refuse(host, f"{problem}: nothing was changed")
        return
    for phrase in change.explained:
        explain(host, phrase)
    if found.program.dpkg_interrupted:
        yield package_locks.patiently(by, manager.UNPACK_AGAIN)
    yield guarded_install.install([manager.pinned(by, name, version)], change.removes)
    for held in change.holds:
        yield package_locks.patiently(by, manager.hold(by, held))


def _needs_program(wanted: Wanted, found: _Found) -> bool:
    return found.is_fresh or _decided(wanted, found, ()).refusal is not None


def _left_as_it_is(wanted: Wanted, found: _Found, to_do: RepositoryChange) -> Decision | None:
    """The decision when neither the repository nor the program has to change, None otherwise."""
    if found.is_fresh or not to_do.is_empty:
        return None
    available: Sequence[str] = ()
    if wanted.version is not None and is_series(wanted.version):
        available = _available(_lists(wanted.package), wanted.package) or ()
    decision = _decided(wanted, found, available)
    return decision if decision.version is None and decision.refusal is None else None


# ---- From an archive


def _from_archive(wanted: Wanted, source: Archive, found: _Found) -> Commands:
    archives = found.archives
    if archives is None:
        yield refuse(host, "cannot tell which archives the host has, see the lines above")
        return
    try:
        build = archive.build(source, archives["architecture"])
    except ValueError as error:
        yield refuse(host, f"{error}: nothing was changed")
        return
    problem = archive.unsuitable(build, archives["libc"], archives["libc_version"])
    decision = _decided_for_archive(wanted, source)
    if problem or decision.refusal:
        yield refuse(host, f"{problem or decision.refusal}: nothing was changed")
        return
    going = _going(found, build)
    if found.build == build.name and _is_linked(archives, build) and not going.removes:
        _warn(decision)
        host.noop(f"containerd {build.version} of an archive is installed: {build.name}")
        return
    if refusal := packages.refusal(found.packages, going):
        yield refuse(host, f"{refusal}: nothing was changed")
        return
    by = _package_manager() if going.removes else "apt-get"
    if by != "apt-get":
        names = ", ".join(going.removes)
        yield refuse(
            host,
            f"{names} would go for the archive, which kubenode does with apt-get only so far: "
            f"remove {names} first; nothing was changed",
        )
        return
    program = archive_program.of_archive(
        build,
        found.build,
        found.program.version,
        packages=going if going.removes else None,
        manager=by,
    )
    # a package takes its shim with it
    keeps_shims = not set(going.removes) - {"runc"}
    plan = containerd_exchange.planned(Version(build.version), wanted.restart, keeps_shims)
    _warn(decision)
    if plan.refusal or plan.postponed:
        yield from containerd_exchange.exchanged(program, plan)
        return
    for file in build.files:
        explain(host, f"{file.address} comes to the host, sha256 {file.sha256}")
    containerd_exchange.tell(program.explained, plan)
    try:
        yield from archive_transfer.brought(build.files, wanted.fetched_by, is_executing(host))
    except archive_cache.FetchError as error:
        yield refuse(host, f"{error}: nothing was changed")
        return
    yield from containerd_exchange.exchanged(program, plan)


def _decided_for_archive(wanted: Wanted, source: Archive) -> Decision:
    # a pre-release is taken where it is named, and the archive names it
    version = wanted.version
    if version is None and Version(source.version).is_prerelease:
        version = source.version
    asked = Asked(version, wanted.kubernetes, "archive")
    return decide(asked, [source.version], None, date.today())


def _going(found: _Found, build: Build) -> PackageChange:
    """The packages that would be in PATH, or systemd's units, beside the archive's program."""
    names = [
        name
        for name in packages.RELATED
        if name in found.packages and (name != "runc" or build.runc is not None)
    ]
    return PackageChange(removes=tuple(names), now={name: found.packages[name] for name in names})


def _is_linked(archives: ArchivesShape, build: Build) -> bool:
    whole = {each["name"]: each["whole"] for each in archives["builds"] or ()}
    wanted = [
        name for name in archives["links"] if build.runc is not None or not name.endswith("/runc")
    ]
    return (
        whole.get(build.name) is True
        and archives["unit"] is not None
        and all("/current/" in (archives["links"][path] or "") for path in wanted)
    )
