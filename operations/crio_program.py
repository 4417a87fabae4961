"""The steps of ``crio.installed``: install CRI-O, or change the one that is there."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

from packaging.version import Version
from pyinfra import host, logger
from pyinfra.api import FileUploadCommand, FunctionCommand, StringCommand

from kubenode.facts.candidates import Candidates
from kubenode.facts.crio import Crio, CrioServiceShape
from kubenode.facts.crio_archive import CrioArchive
from kubenode.facts.platform import Platform
from kubenode.facts.repositories import Repositories
from kubenode.operations import (
    crio_host,
    interrupted_change,
    other_runtime,
    package_hold,
    package_steps,
)
from kubenode.operations import packages as package_operations
from kubenode.operations.packages import PlannedSource
from kubenode.packages import (
    archive_cache,
    archive_transfer,
    manager,
    package_locks,
    repository_proof,
)
from kubenode.packages.archive import Archive
from kubenode.packages.archive_transfer import FetchedBy
from kubenode.packages.choice import Choice, choose, satisfies, upstream_of
from kubenode.packages.package_change import PackageChange
from kubenode.packages.source import Repository
from kubenode.run.pyinfra_internals import is_executing, print_prefix
from kubenode.run.telling import explain, refuse
from kubenode.runtimes import program_change
from kubenode.runtimes.crio import archive, own_file, releases
from kubenode.runtimes.crio.source import PACKAGE, PROGRAM, RepositoryOfMinors, Source
from kubenode.runtimes.crio.version_choice import Asked
from kubenode.runtimes.program_change import Program, Service
from kubenode.runtimes.restart import Restart, postponed
from kubenode.runtimes.runtime import CRIO
from kubenode.wire import joint_reading
from kubenode.wire.probe_fact import ProbeFact

Commands = Generator[StringCommand | FunctionCommand | FileUploadCommand, Any, None]


class Wanted(NamedTuple):
    """What :func:`kubenode.operations.crio.installed` is asked for; see its arguments."""

    asked: Asked
    hold: bool
    source: Source
    restart: Restart | None
    fetched_by: FetchedBy
    replace_runtime: bool


def facts(source: Source) -> list[tuple[type[ProbeFact[Any]], dict[str, Any]]]:
    """The facts that :func:`steps` reads first, with their arguments.

    + source: where CRI-O is from
    """
    read: list[tuple[type[ProbeFact[Any]], dict[str, Any]]] = [(Crio, {})]
    if isinstance(source, RepositoryOfMinors):
        read.append((Repositories, {"repository": source.name}))
    if isinstance(source, Archive):
        read.append((CrioArchive, {}))
    return read


def steps(wanted: Wanted) -> Commands:
    """
    The commands after which the CRI-O that is wanted is installed, and held.

    + wanted: what is asked for
    """
    now = joint_reading.get_fact(Crio)
    if (yield from interrupted_change.ended(now["change"] if now else None)):
        now = joint_reading.get_fact_now(Crio)
    if now is None:
        yield refuse(host, "cannot tell whether CRI-O is installed, see the lines above")
        return
    if problem := other_runtime.problem(now["runtimes"], CRIO, wanted.replace_runtime):
        yield refuse(host, problem)
        return
    there = _There(now)
    if isinstance(wanted.source, Archive):
        yield from _of_archive(wanted, there, wanted.source)
        return
    if there.may_be_of_archive:
        archives = joint_reading.get_fact_now(CrioArchive)
        if archives is None:
            yield refuse(host, _NO_ARCHIVES)
            return
        there = _There(now, archives["build"])
    is_met = wanted.asked.is_met_by(there.release, there.package_version)
    # what somebody chose otherwise is not taken for a repository's
    gives_way = there.build is not None and isinstance(wanted.source, RepositoryOfMinors)
    if there.works and is_met and not gives_way:
        yield from _left(wanted, there)
        return
    if there.works and there.package_version is None and there.build is None:
        yield refuse(
            host,
            f"CRI-O {there.release} at {now['installed']['binary']} is from no package and from no "
            f"archive of kubenode's, so it cannot be changed to {wanted.asked.taken}: remove it "
            "first",
        )
        return
    if problem := package_steps.not_for_packages() or _not_instead_of_archive(there):
        yield refuse(host, problem)
        return
    yield from _brought(wanted, there)


_NO_ARCHIVES = "cannot tell which archives of CRI-O the host has, see the lines above"


class _There(NamedTuple):
    """What a host has."""

    shape: CrioServiceShape
    build: str | None = None
    """Of archives, the one in use; None: of none, or nobody asked, since it is a package's."""

    @property
    def may_be_of_archive(self) -> bool:
        """Whether an archive's CRI-O may be in use: its unit wins over a package's."""
        unit, works = self.shape["unit"], self.shape["installed"]["binary"] is not None
        of_archive = unit is not None and unit["fragment"] == archive.UNIT_FILE
        return of_archive or (works and self.shape["installed"]["package"] is None)

    @property
    def works(self) -> bool:
        """Whether there is a program, and nothing of its package half-done."""
        package = self.shape["installed"]["package"]
        return self.shape["installed"]["binary"] is not None and (
            package is None or package["configured"]
        )

    @property
    def release(self) -> Version | None:
        version = self.shape["installed"]["version"]
        return Version(version) if version else None

    @property
    def package_version(self) -> str | None:
        package = self.shape["installed"]["package"]
        return package["version"] if package else None

    @property
    def is_held(self) -> bool:
        package = self.shape["installed"]["package"]
        return package is not None and package["held"]

    @property
    def pods(self) -> int | None:
        """How many containers run; None: not known."""
        counts = self.shape["pods"]
        return None if counts is None else counts["systemd"] + counts["cgroupfs"]

    @property
    def finishes(self) -> bool:
        """Whether something may be left that dpkg or rpm was stopped at."""
        installed = self.shape["installed"]
        return installed["dpkg_interrupted"] or installed["dpkg_at_work"] is not None


def _left(wanted: Wanted, there: _There) -> Commands:
    """What is there stays; it is held where it should be."""
    for warning in wanted.asked.warnings(there.release):
        logger.warning(f"{print_prefix(host)}{warning}")
    if there.package_version is None or there.is_held or not wanted.hold:
        host.noop(f"CRI-O {there.release} is installed ({there.shape['installed']['binary']})")
        return
    by = _package_manager()
    if by is None:
        yield refuse(host, f"{PACKAGE} cannot be held: no known package manager")
        return
    if problem := package_hold.problem([PACKAGE], by):
        yield refuse(host, f"{problem}: nothing was changed")
        return
    explain(host, f"hold {PACKAGE}: upgrades leave it alone")
    yield from package_steps.held(by, [PACKAGE])


def _package_manager() -> str | None:
    platform = joint_reading.get_fact_now(Platform)
    return platform["package_manager"] if platform else None


def _brought(wanted: Wanted, there: _There) -> Commands:
    """A package comes, from the repository of its minor or from what the host has."""
    by = _package_manager()
    if by is None:
        yield refuse(host, "no known package manager (apt-get, dnf, zypper): install CRI-O first")
        return
    source = _source(wanted, there, by)
    problem = source if isinstance(source, str) else _gate(wanted, there, _known(wanted))
    if isinstance(source, str) or problem:
        yield refuse(host, f"{problem}: nothing was changed")
        return
    to = wanted.asked.taken or "the newest"
    told = f"CRI-O {there.release} -> {to}" if there.works else f"install {PACKAGE}: {to}"
    if there.works and _is_active(there) and (waits := postponed(wanted.restart, there.pods)):
        logger.warning(f"{print_prefix(host)}{told} waits: {waits}")
        host.noop(f"{told} waits: {waits}")
        return
    if there.works:
        told += ": the old one comes back where the new one does not serve"
    if source is not None:
        package_operations.explain_source(source)
    if at_work := there.shape["installed"]["dpkg_at_work"]:
        explain(host, f"wait for process {at_work}, which changes packages")
    explain(host, told if source else f"fetch the lists of packages, then {told}")
    if problem := package_hold.problem(_holds(wanted, there), by):
        yield refuse(host, f"{problem}: nothing was changed")
        return
    if source is not None:
        yield from package_operations.prove(source)
        if source.change.files:
            choice = _chosen(wanted, by, source.repository, is_staged=True)
            if choice.refusal:
                yield refuse(host, f"{choice.refusal}: nothing was changed")
                return
        yield from package_operations.put_in_place(source)
        if not source.change.fetches:
            yield repository_proof.fetch_lists(source.repository, by)
    yield from package_steps.ready(by, [PACKAGE], finishes=there.finishes)
    yield from _taken(wanted, there, by, source.repository if source else None)


def _source(wanted: Wanted, there: _There, by: str) -> PlannedSource | str | None:
    """The repository that a package comes from, or why it may not; None for what the host has."""
    if not isinstance(wanted.source, RepositoryOfMinors):
        return None
    minor = wanted.asked.minor
    if minor is None:
        return (
            "CRI-O has a repository for each minor release: set kubenode_crio_version or "
            "kubenode_kubernetes_version"
        )
    repository = wanted.source.of(minor, by)
    now = joint_reading.get_fact(Repositories, repository=repository.name)
    if now is None:
        return "cannot tell where packages come from, see the lines above"
    planned = package_operations.planned_source(repository, now, by)
    if isinstance(planned, str):
        return planned.removesuffix(": nothing was changed")
    return planned._replace(keeps=[PACKAGE] if there.package_version else ())


def _holds(wanted: Wanted, there: _There) -> list[str]:
    # a package that is installed again loses its hold
    return [PACKAGE] if wanted.hold or there.is_held else []


def _known(wanted: Wanted) -> Version | None:
    """The release that comes, as far as it is known before the lists are fetched."""
    return upstream_of(wanted.asked.taken) if wanted.asked.taken else None


def _chosen(
    wanted: Wanted, by: str, repository: Repository | None, *, is_staged: bool = False
) -> Choice:
    """The version that comes; none and no refusal is what the package manager takes by itself."""
    if by != "apt-get" and wanted.asked.taken is None:
        # rules of dnf's and zypper's own count, such as priorities of repositories
        return Choice()
    staged = repository.name if repository is not None and is_staged else None
    lists = joint_reading.get_fact_now(Candidates, packages=[PACKAGE], staged=staged)
    if lists is None:
        return Choice(refusal="cannot tell which versions of CRI-O there are, see the lines above")
    offered = [
        each["version"]
        for each in lists["packages"].get(PACKAGE, [])
        if repository is None or is_staged or package_operations.is_from(repository, each["origin"])
    ]
    choice = choose(list(dict.fromkeys(offered)), wanted.asked.taken)
    if choice.version is not None:
        return choice
    where = repository.url if repository else "the distribution"
    elsewhere = "" if repository else "; set kubenode_crio_source to a repository of it"
    return Choice(refusal=f"{where} {choice.refusal} of {PACKAGE}{elsewhere}")


def _taken(wanted: Wanted, there: _There, by: str, repository: Repository | None) -> Commands:
    choice = _chosen(wanted, by, repository)
    release = upstream_of(choice.version) if choice.version else None
    if problem := choice.refusal or _gate(wanted, there, release):
        yield refuse(host, f"{problem}: nothing was installed")
        return
    for warning in wanted.asked.warnings(release):
        logger.warning(f"{print_prefix(host)}{warning}")
    if there.build is not None:
        yield from _instead_of_archive(wanted, there, by, choice.version)
        return
    if there.works and choice.version is not None:
        yield from _exchanged(wanted, there, by, choice.version)
        return
    now = {PACKAGE: there.package_version} if there.package_version else {}
    held = [PACKAGE] if there.is_held else []
    packages = package_steps.Packages({PACKAGE: choice.version}, now, held, _holds(wanted, there))
    yield from package_steps.installed(by, packages, unpacks_again=there.finishes)


def _gate(wanted: Wanted, there: _There, release: Version | None) -> str | None:
    """Why another CRI-O may not take the place of one that runs, None when it may."""
    if not there.works or not _is_active(there):
        return None
    pods, old = there.pods, there.release
    if old is None or release is None or releases.recreates_containers(old, release):
        if pods == 0:
            return None
        running = "pods may run" if pods is None else f"{pods} containers run"
        return (
            f"{running}, and CRI-O removes and makes them again when its minor release changes: "
            "drain the node first (kubectl drain)"
        )
    return None


def _of_archive(wanted: Wanted, there: _There, source: Archive) -> Commands:
    """The build of an archive becomes the one in use: proven, or undone."""
    now = joint_reading.get_fact(CrioArchive)
    if now is None:
        yield refuse(host, _NO_ARCHIVES)
        return
    release = Version(source.version)
    try:
        file = source.file(PROGRAM, now["architecture"])
    except ValueError as error:
        yield refuse(host, f"{error}: nothing was changed")
        return
    if problem := _not_from_archive(wanted, there, now["build"], release):
        yield refuse(host, f"{problem}: nothing was changed")
        return
    for warning in wanted.asked.warnings(release):
        logger.warning(f"{print_prefix(host)}{warning}")
    assert file is not None
    bundle = archive.Bundle(source.version, file)
    going = _going(there)
    if now["build"] == bundle.name and now["whole"] and going is None:
        host.noop(f"CRI-O {source.version} of an archive is installed: {now['build']}")
        return
    problem = package_steps.not_for_packages() or _gate(wanted, there, release)
    if problem is None and going is not None:
        problem = _not_instead_of_package(there)
    if problem:
        yield refuse(host, f"{problem}: nothing was changed")
        return
    old = str(there.release) if there.release else None
    program = archive.program(bundle, now["build"], old, going)
    if _waits(wanted, there, program):
        return
    explain(host, f"{file.address} comes to the host, sha256 {file.sha256}")
    explain(host, f"{program.explained}, with its unit and {archive.DROP_IN}")
    if going is not None:
        explain(host, f"{_DROP_INS_OF_PACKAGES} go with it, all else in /etc stays as it is")
        if there.finishes:
            finish = manager.finish("apt-get", list(going.removes))
            yield package_locks.patiently("apt-get", finish)
    try:
        yield from archive_transfer.brought([file], wanted.fetched_by, is_executing(host))
    except archive_cache.FetchError as error:
        yield refuse(host, f"{error}: nothing was changed")
        return
    daemon = crio_host.daemon_of(there.shape)
    yield program_change.change(program, {}, own_file.FILE, daemon, _service(there))


_DROP_INS_OF_PACKAGES = "the package's own drop-ins in /etc/crio/crio.conf.d"


def _going(there: _There) -> PackageChange | None:
    """The package that would be in PATH, and a unit of systemd's, beside the archive's."""
    package = there.shape["installed"]["package"]
    if package is None:
        return None
    name = package["name"]
    return PackageChange(removes=(name,), now={name: package["version"]})


def _not_from_archive(
    wanted: Wanted, there: _There, build: str | None, release: Version
) -> str | None:
    """Why an archive's CRI-O may not come to a host."""
    if there.works and there.package_version is None and build is None:
        return (
            f"CRI-O {there.release} at {there.shape['installed']['binary']} is from no package and "
            "from no archive of kubenode's: remove it first"
        )
    asked = wanted.asked.version
    if asked is not None and not satisfies(str(release), asked):
        return f"the archive is of CRI-O {release}, and {asked} is wanted (kubenode_crio_version)"
    return None


def _not_instead_of_package(there: _There) -> str | None:
    """Why an archive's CRI-O may not take a package's place, None when it may."""
    by = _package_manager()
    if by == "apt-get":
        return None
    return (
        f"CRI-O of the package {PACKAGE} {there.package_version} is here, and only with apt an "
        f"archive takes its place, not with {by or 'no known package manager'}: remove the package "
        "first, on an idle node"
    )


def _not_instead_of_archive(there: _There) -> str | None:
    """Why a package's CRI-O may not take an archive's place, None when it may."""
    if there.build is None or (by := _package_manager()) == "apt-get":
        return None
    return (
        f"CRI-O of the archive {there.build} is here, and only with apt a package takes its place, "
        f"not with {by or 'no known package manager'}: keep the archive (kubenode_crio_source): "
        "nothing was changed"
    )


def _instead_of_archive(wanted: Wanted, there: _There, by: str, version: str | None) -> Commands:
    """A package's CRI-O takes the place of an archive's: proven, or undone."""
    release = upstream_of(version) if version else None
    if refusal := _gate(wanted, there, release):
        yield refuse(host, f"{refusal}: nothing was changed")
        return
    change = PackageChange(
        installs={PACKAGE: version or ""},
        now={PACKAGE: there.package_version} if there.package_version else {},
        related=(PACKAGE,),
        holds=(PACKAGE,) if wanted.hold or there.is_held else (),
    )
    old = str(there.release) if there.release else None
    program = archive.program(None, there.build, old, change, by)
    if _waits(wanted, there, program):
        return
    explain(host, f"{program.explained}: its links, its unit and {archive.DROP_IN} go")
    explain(host, f"{_DROP_INS_OF_PACKAGES} come, what is in /etc stays as it is")
    daemon = crio_host.daemon_of(there.shape)
    yield program_change.change(program, {}, own_file.FILE, daemon, _service(there))


def _waits(wanted: Wanted, there: _There, program: Program) -> bool:
    """Whether a change has to wait for its restart, which is said then."""
    waits = postponed(wanted.restart, there.pods) if _is_active(there) else None
    if waits:
        logger.warning(f"{print_prefix(host)}{program.explained} waits: {waits}")
        host.noop(f"{program.explained} waits: {waits}")
    return bool(waits)


def _service(there: _There) -> Service:
    unit = there.shape["unit"]
    return Service(
        is_enabled=unit is not None and unit["enabled"] == "enabled",
        is_active=_is_active(there),
        serves=there.shape["cri"] == "serving",
        is_masked=unit is not None and unit["load"] == "masked",
    )


def _is_active(there: _There) -> bool:
    unit = there.shape["unit"]
    return unit is not None and unit["active"] in ("active", "activating", "reloading")


def _exchanged(wanted: Wanted, there: _There, by: str, version: str) -> Commands:
    """What is there gives way to a package's, in one command on the host: proven, or undone."""
    hold = package_hold.planned(_holds(wanted, there), by)
    if hold.refusal:
        yield refuse(host, f"{hold.refusal}: nothing was changed")
        return
    change = PackageChange(
        installs={PACKAGE: version},
        now={PACKAGE: str(there.package_version)},
        related=(PACKAGE,),
        # what a file says is written where all files are, and not by what changes packages
        holds=hold.names if hold.conf is None else (),
    )
    program = program_change.of_packages(f"{PACKAGE} {version}", change, by)
    explain(host, program.explained)
    daemon = crio_host.daemon_of(there.shape)
    yield program_change.change(program, {}, own_file.FILE, daemon, _service(there))
    if hold.conf is not None:
        yield from package_hold.held(hold)
