"""What the sources of containerd share: what is wanted of a host, what it has, what comes of it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, NamedTuple

from packaging.version import Version
from pyinfra import host, logger
from pyinfra.api import FileUploadCommand, FunctionCommand, StringCommand

from kubenode.facts.archives import ArchivesShape
from kubenode.facts.candidates import Candidates, CandidatesShape
from kubenode.facts.containerd import ContainerdPackageShape
from kubenode.facts.installation import Installation, InstallationShape
from kubenode.facts.platform import Platform
from kubenode.files import whole_file
from kubenode.kubelet.containerd_choice import Asked, Decision, Present, decide
from kubenode.operations import containerd_exchange, package_hold, package_steps
from kubenode.operations import packages as package_operations
from kubenode.packages import manager, package_locks
from kubenode.packages.archive import Archive
from kubenode.packages.archive_transfer import FetchedBy
from kubenode.packages.choice import upstream_of
from kubenode.packages.installation import Program
from kubenode.packages.source import Repository
from kubenode.run.pyinfra_internals import is_executing, print_prefix
from kubenode.run.telling import explain, refuse
from kubenode.runtimes import archive_program, program_change
from kubenode.runtimes.containerd import packages
from kubenode.runtimes.containerd.source import Source
from kubenode.runtimes.restart import Restart
from kubenode.wire import joint_reading

Commands = Generator[StringCommand | FunctionCommand | FileUploadCommand, Any, None]

DOCKER = "docker"
NO_MANAGER = "no known package manager (apt-get, dnf, zypper): install containerd yourself"


class Wanted(NamedTuple):
    """What :func:`kubenode.operations.containerd.installed` is asked for; see its arguments."""

    version: str | None
    hold: bool
    source: Source
    kubernetes: tuple[int, int] | None
    restart: Restart | None
    fetched_by: FetchedBy
    replace_runtime: bool

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


class Found(NamedTuple):
    """What a host has."""

    shape: ContainerdPackageShape
    program: Program
    archives: ArchivesShape | None
    """None: nobody asked, since containerd is from a package."""
    unspared: Sequence[whole_file.Change] = ()
    """The files in which unattended-upgrades and needrestart have yet to be told to leave it
    alone."""

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
    def finishes(self) -> bool:
        """Whether something may be left that dpkg or rpm was stopped at."""
        return self.program.dpkg_interrupted or self.program.dpkg_at_work is not None

    @property
    def release(self) -> Version | None:
        """containerd's."""
        return Version(self.program.version) if self.program.version else None


def package_manager() -> str | None:
    """The host's, None where there is none that is known."""
    platform = joint_reading.get_fact_now(Platform)
    return platform["package_manager"] if platform else None


def lists_of(name: str, staged: str | None = None) -> CandidatesShape | None:
    """What the host's lists have of a package; None where nobody can tell.

    + name: of the package
    + staged: see :class:`kubenode.facts.candidates.Candidates`
    """
    return joint_reading.get_fact_if_it_answers(Candidates, packages=[name], staged=staged)


def available(
    lists: CandidatesShape | None, name: str, repository: Repository | None = None
) -> list[str] | None:
    """The versions that there are of a package, the newest first; None where nobody can tell.

    + lists: the host's
    + name: of the package
    + repository: the only one that counts; None: all do
    """
    if lists is None:
        return None
    versions = [
        each["version"]
        for each in lists["packages"].get(name, [])
        if repository is None or package_operations.is_from(repository, each["origin"])
    ]
    # two sources may have the same
    return list(dict.fromkeys(versions))


def decided(
    wanted: Wanted, found: Found, versions: Sequence[str] | None, candidate: str | None = None
) -> Decision:
    """The version that is installed, that none is, or why none may be.

    + versions: that the source has, the newest first; None: nobody can tell
    + candidate: what the package manager would take by itself
    """
    present = None
    package = found.program.package
    if not found.is_fresh and _is_from(wanted, found):
        present = Present(found.release, package.version if package else None)
    asked = Asked(wanted.version, wanted.kubernetes, wanted.source_name)
    return decide(asked, versions, present, date.today(), candidate=candidate)


def _is_from(wanted: Wanted, found: Found) -> bool:
    """Whether what is there may stay for this source: any may for the distribution's, unless a
    version is asked for; what somebody chose otherwise is not taken for it."""
    package = found.program.package
    if wanted.source == "distribution":
        return True
    return found.build is None and package is not None and package.name == wanted.package


def warn(decision: Decision) -> None:
    """Say what a decision warns of."""
    for warning in decision.warnings:
        logger.warning(f"{print_prefix(host)}{warning}")


def left(wanted: Wanted, found: Found, decision: Decision) -> Commands:
    """What is there stays; it is held where it should be."""
    warn(decision)
    package = found.program.package
    holds = package is not None and not package.held and wanted.hold and found.build is None
    if not holds and not found.unspared:
        host.noop(f"containerd is installed: {found.program}")
        return
    by = package_manager() if holds else None
    if package is not None and holds and by is None:
        yield refuse(host, f"{package.name} cannot be held: no known package manager")
        return
    if package is not None and by is not None:
        if problem := package_hold.problem([package.name], by):
            yield refuse(host, f"{problem}: nothing was changed")
            return
        explain(host, f"hold {package.name}: upgrades leave it alone")
    package_steps.tell_files(found.unspared)
    if package is not None and by is not None:
        yield from package_steps.held(by, [package.name])
    yield from package_steps.write(found.unspared)


def of_nobody(program: Program, wanted: Wanted) -> str:
    """That a program is from no package, and so cannot be changed."""
    asked = wanted.version or f"what {wanted.source_name} has"
    return (
        f"containerd {program.version} at {program.binary} is from no package, so it cannot be "
        f"changed to {asked}: remove it first, or do not ask for another version"
    )


def beforehand(wanted: Wanted, found: Found, known: Decision) -> str:
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


def _would(name: str, version: str, by: str | None) -> InstallationShape | None:
    """What else would come and go, as apt says it; dnf and zypper are not asked."""
    if by != "apt-get":
        return None
    return joint_reading.get_fact_if_it_answers(Installation, packages=[f"{name}={version}"])


def foretell(wanted: Wanted, found: Found, known: Decision) -> str | None:
    """While pyinfra only prepares, say what an exchange of packages does, as far as it is known.

    + known: by the lists that the host has

    Returns why it would be refused. Once operations are executed all of it is said when the lists
    have been fetched.
    """
    if is_executing(host) or found.is_fresh:
        return None
    if known.version is None:
        explain(
            host,
            "which release that is, what comes with it, and which lines of the configuration it "
            "changes, cannot be told before the lists are fetched",
        )
        return None
    name, version = wanted.package, known.version
    plan = containerd_exchange.planned(upstream_of(version), wanted.restart)
    change = packages.exchange(found.packages, name, version, wanted.hold)
    problem = packages.refusal(found.packages, change) or plan.refusal
    if problem:
        return f"{', '.join(change.explained)}: {problem}: nothing was changed"
    if plan.postponed is None:
        explain(host, "as the lists are now; what they have once they are fetched may be newer:")
        containerd_exchange.tell(", ".join(change.explained), plan)
        package_steps.tell_what_comes(_would(name, version, package_manager()), [name])
    return None


def waiting(wanted: Wanted, found: Found, known: Decision) -> str | None:
    """Why the change that is known before anything is fetched has to wait, None where it need not.

    + known: by the lists that the host has
    """
    release = upstream_of(known.version) if known.version else None
    return None if found.is_fresh else containerd_exchange.waits(release, wanted.restart)


def left_waiting(wanted: Wanted, found: Found, known: Decision, why: str) -> Commands:
    """What is there stays as it is until the change may be done; nothing is fetched.

    + known: what it will become
    + why: as :func:`waiting` says
    """
    to = f"{known.version} ({wanted.package})"
    containerd_exchange.say_what_waits(f"containerd {found.program.version} -> {to}", why)
    package_steps.tell_files(found.unspared)
    yield from package_steps.write(found.unspared)


def finished(found: Found, by: str, name: str) -> Commands:
    """The command after which nothing is left that dpkg or rpm was stopped at.

    + by: ``apt-get``, ``dnf`` or ``zypper``
    + name: of the package
    """
    if not found.finishes:
        return
    if found.program.dpkg_at_work:
        explain(host, f"wait for process {found.program.dpkg_at_work}, which changes packages")
    with_apt = " (dpkg --configure -a)" if by == "apt-get" else ""
    explain(host, f"what packages were stopped at is finished first, if they were{with_apt}")
    yield package_locks.patiently(by, manager.finish(by, [name]))


def installed_beside_nothing(
    wanted: Wanted, found: Found, by: str, version: str | None
) -> Commands:
    """A host without a containerd that works gets a package; what conflicts with it goes.

    + by: ``apt-get``, ``dnf`` or ``zypper``
    + version: in full; None is what the package manager takes
    """
    name = wanted.package
    change = packages.exchange(found.packages, name, version or "", wanted.hold)
    if problem := packages.refusal(found.packages, change):
        yield refuse(host, f"{problem}: nothing was changed")
        return
    package = found.program.package
    held = [name] if package is not None and package.held and package.name == name else []
    to_install = package_steps.Packages(
        {name: version}, found.packages, held, change.holds or held, change.removes
    )
    yield from package_steps.installed(by, to_install, unpacks_again=found.finishes)
    yield from package_steps.write(found.unspared)


def exchanged(wanted: Wanted, found: Found, by: str, decision: Decision) -> Commands:
    """What is there gives way to a package's, in one command on the host: proven, or undone."""
    if decision.version is None:
        yield refuse(host, f"{decision.refusal}: nothing was changed")
        return
    warn(decision)
    name, version = wanted.package, decision.version
    package = found.program.package
    # a package that apt installs again loses its hold
    is_held = package is not None and package.held and package.name == name
    change = packages.exchange(found.packages, name, version, wanted.hold or is_held)
    if problem := packages.refusal(found.packages, change) or package_hold.problem(
        change.holds, by
    ):
        yield refuse(host, f"{problem}: nothing was changed")
        return
    hold = package_hold.planned(change.holds, by)
    # what a file says is written where all files are, and not by what changes packages
    change = replace(change, holds=hold.names if hold.conf is None else ())
    if found.build is not None:
        program = archive_program.of_archive(
            None, found.build, found.program.version, packages=change, manager=by
        )
    else:
        program = program_change.of_packages(f"{name} {version}", change, by)
    plan = containerd_exchange.planned(upstream_of(version), wanted.restart)
    if not (plan.refusal or plan.postponed):
        containerd_exchange.tell(program.explained, plan)
        package_steps.tell_what_comes(_would(name, version, by), [name])
    yield from containerd_exchange.exchanged(program, plan)
    if hold.conf is not None and not (plan.refusal or plan.postponed):
        yield from package_hold.held(hold)
    yield from package_steps.write(found.unspared)
