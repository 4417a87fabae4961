"""Where packages come from, and which of them are installed."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, OperationValueError, StringCommand, operation

from kubenode.facts import image_based, left_alone
from kubenode.facts.package_versions import PackageVersions, PackageVersionsShape
from kubenode.facts.repositories import Repositories, RepositoriesShape
from kubenode.files import whole_file
from kubenode.files.exact_text import is_utf8, text_of
from kubenode.operations import package_hold, package_steps
from kubenode.operations.prerequisites import prerequisites as prerequisites
from kubenode.packages import (
    apt_sources,
    manager,
    package_change,
    repository_change,
    repository_files,
    repository_proof,
    signing_key,
)
from kubenode.packages.installation import Installed
from kubenode.packages.left_alone import LeftAlone, apt_file, changes, needrestart_file
from kubenode.packages.repository_change import RepositoryChange
from kubenode.packages.selection import Offer, Selection, select
from kubenode.packages.signing_key import SigningKey
from kubenode.packages.source import NotBuiltFor, Repository, check_package, docker_repository
from kubenode.run.pyinfra_internals import is_executing, print_prefix
from kubenode.run.telling import explain, explain_file, refuse
from kubenode.wire import joint_reading
from kubenode.wire.bounded import INSTALL_SECONDS, bounded

Commands = Generator[StringCommand | FunctionCommand, Any, None]

_CANNOT_TELL_SOURCES = "cannot tell where packages come from, see the lines above"
_CANNOT_TELL_PACKAGES = "cannot tell which packages are installed, see the lines above"
_NO_MANAGER = "no known package manager (apt-get, dnf, zypper): a repository is of no use here"


@operation()
@bounded(INSTALL_SECONDS)
def repository(
    repository: Repository | Literal["docker"],
    present: bool = True,
) -> Commands:
    """
    Let the package manager take packages from a repository, signed by a pinned key.

    + repository: where it is and which key signs it; ``docker`` is Docker's own for the host's
      distribution, see :func:`kubenode.packages.source.docker_repository`
    + present: False removes it. Packages from it stay, and so does a key that another source names

    The key is read once a run on the control machine: one certificate, with the pinned fingerprint,
    not expired and not revoked, or the host is refused. The repository is proven on the host before
    it is trusted: its lists are fetched into a folder of their own and apt checks their signature
    there, and each of its ``packages`` has to be in them. Only then its files are put in place:

    + apt: ``/etc/apt/keyrings/NAME.asc`` and ``/etc/apt/sources.list.d/NAME.sources``
    + dnf: ``/etc/pki/rpm-gpg/RPM-GPG-KEY-NAME`` and ``/etc/yum.repos.d/NAME.repo``
    + zypper: the same key, and ``/etc/zypp/repos.d/NAME.repo``

    and its lists are fetched, and no others. Another entry of the same URL and suite with another
    ``Signed-By`` is an error of that host with its place: apt would refuse all sources. What a file
    was before stays beside it, see :mod:`kubenode.files.whole_file`.

    Sources: sources.list(5), apt-secure(8), dnf.conf(5).

    **Example:**

    .. code:: python

        packages.repository(
            name="Packages come from our mirror of Docker's repository",
            repository=Repository(
                name="docker",
                url="https://mirror.example.com/docker/linux/debian",
                components=("stable",),
                key="files/docker.asc",
                fingerprint="9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
                packages=("containerd.io",),
            ),
        )
    """
    _check(repository)
    name = _name(repository)
    now = joint_reading.get_fact(Repositories, repository=name)
    if now is None:
        yield refuse(host, _CANNOT_TELL_SOURCES)
    elif problem := image_based.refusal(now["system"]):
        yield refuse(host, problem)
    elif now["package_manager"] is None:
        yield refuse(host, _NO_MANAGER)
    elif present:
        yield from _present(repository, now, now["package_manager"])
    else:
        yield from _absent(name, now, now["package_manager"])


def _check(repository: object) -> None:
    if repository != "docker" and not isinstance(repository, Repository):
        raise OperationValueError(f"repository is a Repository or 'docker', not {repository!r}")


def _name(repository: Repository | Literal["docker"]) -> str:
    return repository if isinstance(repository, str) else repository.name


def _host(now: RepositoriesShape, manager: str) -> repository_change.Host:
    return repository_change.Host(
        manager,
        now["architecture"],
        now["os_release"],
        now["files"],
        now["unreadable"],
        now["lists"],
    )


class PlannedSource(NamedTuple):
    """A repository, and what has to be done so that the host has it.

    + keeps: names of packages that have to be had again, whatever the repository has afterwards
    """

    repository: Repository
    key: SigningKey
    there: repository_change.Host
    change: RepositoryChange
    keeps: Sequence[str] = ()

    @property
    def loses(self) -> bool:
        """Whether these may be in no repository once the files are in place.

        dpkg makes a package again of what is installed; an RPM has to be kept before.
        """
        is_another = any(change.old is not None for change in self.change.files)
        return bool(self.keeps) and is_another and self.there.manager != "apt-get"


def planned_source(
    repository: Repository | Literal["docker"], now: RepositoriesShape, by: str
) -> PlannedSource | str:
    """What to do; text says why nothing may be done."""
    there = _host(now, by)
    try:
        wanted = docker_repository(there.os_release) if isinstance(repository, str) else repository
        key = signing_key.checked(wanted)
    except (NotBuiltFor, signing_key.KeyProblem) as problem:
        return f"{problem}: nothing was changed"
    to_do = repository_change.present(wanted, key, there)
    if to_do.blocked:
        return f"{to_do.blocked}: nothing was changed"
    return PlannedSource(wanted, key, there, to_do)


def _present(
    repository: Repository | Literal["docker"], now: RepositoriesShape, by: str
) -> Commands:
    source = planned_source(repository, now, by)
    if isinstance(source, str):
        yield refuse(host, source)
        return
    if source.change.is_empty:
        place = repository_files.paths(source.repository.name, by).source
        host.noop(f"{place} is as wanted, signed by {source.key.fingerprint}")
    explain_source(source)
    yield from prove(source)
    yield from put_in_place(source)


def explain_source(source: PlannedSource) -> None:
    """Say what becomes of a repository.

    + source: what is planned
    """
    to_do, repository = source.change, source.repository
    for warning in to_do.warnings:
        logger.warning(f"{print_prefix(host)}{warning}")
    where = f"{repository.url}{f' {to_do.suite}' if to_do.suite else ''}"
    if to_do.files:
        signs = source.there.manager == "apt-get" or repository.signs_metadata
        signed = "signed by" if signs else "its packages have to be signed by"
        explain(host, f"prove {where}: fetch its lists apart, {signed} {repository.fingerprint}")
    if source.loses:
        explain(host, f"keep what is installed in {package_change.STORE}: it may have to come back")
    for change in to_do.files:
        explain_file(host, change.path, _text(change.old), _text(change.new))
    if to_do.fetches:
        explain(host, f"fetch the lists of {where} with {source.there.manager}")


def prove(source: PlannedSource) -> Commands:
    """The command that fetches a repository's lists apart, where its files are new.

    + source: what is not in place yet
    """
    to_do, there = source.change, source.there
    if to_do.files:
        yield repository_proof.prove(
            source.repository, there.manager, to_do.suite, there.architecture, source.key.content
        )


def put_in_place(source: PlannedSource) -> Commands:
    """The commands that write a repository's files, and fetch its lists; RPMs are kept before.

    + source: what was proven
    """
    to_do = source.change
    if source.loses:
        yield package_change.kept(source.keeps, source.there.manager)
    if to_do.files:
        yield whole_file.change(to_do.files)
    if to_do.fetches:
        yield repository_proof.fetch_lists(source.repository, source.there.manager)


def _text(content: bytes | None) -> str | None:
    if content is None:
        return None
    text = text_of(content)
    return text if is_utf8(text) else "(no text)\n"


def _absent(name: str, now: RepositoriesShape, by: str) -> Commands:
    to_do = repository_change.absent(name, _host(now, by))
    if to_do.blocked:
        yield refuse(host, f"{to_do.blocked}: nothing was changed")
        return
    for warning in to_do.warnings:
        logger.warning(f"{print_prefix(host)}{warning}")
    if to_do.is_empty:
        host.noop(f"there is no repository {name}")
        return
    for change in to_do.files:
        explain_file(host, change.path, _text(change.old), None)
    yield whole_file.change(to_do.files)


@operation()
@bounded(INSTALL_SECONDS)
def installed(
    packages: str | Sequence[str],
    repository: Repository | Literal["docker"] | None = None,
    version: str | None = None,
    hold: bool = True,
    replaces: str | Sequence[str] = (),
) -> Commands:
    """
    Install packages, in the version that is wanted, and keep them in it.

    + packages: their names
    + repository: where they come from, which is put in place first: see
      :func:`repository`. None takes them from what the host has
    + version: in full (``2.1.9-1~debian.13~trixie``), a release (``2.1.9``) or a series (``2.1``:
      the newest of it that the source has; what is installed of a series stays). It is that of all
      *packages*. None takes what the package manager would, and leaves what is installed alone
    + hold: keep upgrades from them, and with apt tell unattended-upgrades and needrestart to leave
      them and their services alone (:mod:`kubenode.packages.left_alone`). False leaves all that as
      it is
    + replaces: names of packages that may go for them, because they conflict

    The host is refused before anything is installed when the source has no such version, with what
    it has, and when other packages would go for it that *replaces* does not name: apt is asked for
    that first. What a package's configuration files were changed to stays. A package that is held
    is changed only where *version* asks for another one. Another process that changes packages is
    waited for, at most 300 s, and what dpkg was stopped at is finished first. An apt source that
    does not answer is a warning with apt's words.

    With dnf and zypper a package that conflicts is their error, whatever *replaces* says. Without a
    version and a repository they take what their own rules make of it.

    Sources: apt-get(8), apt-mark(8), dpkg(1).

    **Example:**

    .. code:: python

        packages.installed(
            name="Docker's containerd of the 2.1 series takes the place of Debian's",
            packages="containerd.io",
            repository="docker",
            version="2.1",
            replaces=("containerd", "runc"),
        )
    """
    names = _names("packages", packages)
    may_go = _names("replaces", replaces)
    if not names:
        raise OperationValueError("packages names none")
    if version is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+~:-]{0,127}", version):
        raise OperationValueError(f"version {version!r} is none")
    if repository is not None:
        _check(repository)
    yield from installing(names, repository, version, hold, may_go)


def _names(argument: str, value: str | Sequence[str]) -> list[str]:
    names = [value] if isinstance(value, str) else list(value)
    for name in names:
        try:
            check_package(name)
        except ValueError as error:
            raise OperationValueError(f"{argument}: {error}") from error
    return list(dict.fromkeys(names))


def installing(
    packages: Sequence[str],
    repository: Repository | Literal["docker"] | None,
    version: str | None,
    hold: bool,
    replaces: Sequence[str],
) -> Commands:
    """The commands of :func:`installed`, for an operation that installs packages among others.

    + packages, repository, version, hold, replaces: as :func:`installed` takes them, checked
    """
    names = list(packages)
    source = None
    if repository is not None:
        sources = joint_reading.get_fact(Repositories, repository=_name(repository))
        if sources is None or sources["package_manager"] is None:
            yield refuse(host, _NO_MANAGER if sources else _CANNOT_TELL_SOURCES)
            return
        if problem := image_based.refusal(sources["system"]):
            yield refuse(host, problem)
            return
        planned = planned_source(repository, sources, sources["package_manager"])
        if isinstance(planned, str):
            yield refuse(host, planned)
            return
        source = planned
    now = joint_reading.get_fact(PackageVersions, packages=names)
    if now is None:
        yield refuse(host, _CANNOT_TELL_PACKAGES)
        return
    if problem := image_based.refusal(now["system"]):
        yield refuse(host, problem)
        return
    wanted = Wanted(names, None if source is None else source.repository, version, hold)
    to_do = selection(now, wanted)
    if to_do.is_empty and not unspared(now, wanted) and (source is None or source.change.is_empty):
        there = [f"{each['name']} {each['version']}" for each in now["installed"]["installed"]]
        host.noop(f"{', '.join(there)}: installed" + (" and held" if hold else ""))
        return
    yield from steps(now, wanted, source, replaces)


def steps(
    now: PackageVersionsShape,
    wanted: Wanted,
    source: PlannedSource | None,
    replaces: Sequence[str] = (),
    exchange: Exchange | None = None,
) -> Generator[StringCommand | FunctionCommand, Any, Selection | None]:
    """The commands that put a repository in place, and install and hold packages.

    + now: what there is of the packages
    + wanted: what is asked for
    + source: the repository they come from; None for what the host has
    + replaces: names of packages that may go for them
    + exchange: what installs them in place of the package manager alone; where something is left
      that dpkg or rpm was stopped at, it is not asked

    Returns what was done, None where the host was refused.
    """
    to_do = selection(now, wanted)
    by = now["package_manager"]
    if by is None:
        yield refuse(host, f"no known package manager: install {', '.join(wanted.names)} yourself")
        return None
    # pyinfra, while it prepares, goes no further than the first command
    if source is not None:
        explain_source(source)
    if not to_do.is_empty:
        refusal = _explain_beforehand(now, by, wanted, to_do, source, replaces)
        if refusal:
            yield refuse(host, refusal)
            return None
    else:
        package_steps.tell_files(unspared(now, wanted))
    if source is not None:
        yield from prove(source)
        yield from put_in_place(source)
    if to_do.installs or to_do.blocked:
        return (yield from _install(now, by, wanted, replaces, exchange))
    yield from package_steps.held(by, to_do.holds)
    yield from package_steps.write(unspared(now, wanted))
    return to_do


def unspared(now: PackageVersionsShape, wanted: Wanted) -> list[whole_file.Change]:
    """The files in which unattended-upgrades and needrestart have yet to be told to leave what is
    installed alone.

    + now: what there is of the packages
    + wanted: what is asked for
    """
    shape = now["left_alone"]
    if not (wanted.hold and shape["apt"]):
        return []
    there = left_alone.contents(shape)
    installed = {each["name"] for each in now["installed"]["installed"]}
    return [
        change
        for name in wanted.names
        if name in installed
        for change in changes(LeftAlone(name, [name], shape["services"][name]), there)
    ]


Exchange = Callable[[str, Selection], Commands | None]
"""Of a package manager and what is to be done, the commands that do it; None where it does not."""


class Wanted(NamedTuple):
    """What is asked for.

    + names: of the packages
    + repository: where they come from; None for what the host has
    + version, hold, newest: see :func:`kubenode.packages.selection.select`
    """

    names: list[str]
    repository: Repository | None
    version: str | Mapping[str, str] | None
    hold: bool
    newest: tuple[str, ...] = ()

    def __str__(self) -> str:
        if isinstance(self.version, Mapping):
            named = (f"{name} {self.version.get(name, '')}".rstrip() for name in self.names)
            return ", ".join(named)
        return f"{', '.join(self.names)} {self.version or ''}".rstrip()


def selection(now: PackageVersionsShape, wanted: Wanted) -> Selection:
    """What would be done, as far as it is known now.

    + now: what there is of the packages
    + wanted: what is asked for
    """
    there = [Installed(**package) for package in now["installed"]["installed"]]
    found = now["candidates"]
    offers = None
    # rules of dnf's and zypper's own count, such as priorities of repositories
    takes_its_own = (
        now["package_manager"] != "apt-get" and wanted.version is None and not wanted.newest
    )
    if found is not None and not (takes_its_own and wanted.repository is None):
        offers = {
            name: Offer(
                list(
                    dict.fromkeys(
                        each["version"]
                        for each in found["packages"][name]
                        if wanted.repository is None or is_from(wanted.repository, each["origin"])
                    )
                ),
                found["preferred"][name],
            )
            for name in wanted.names
        }
    where = "this host's sources" if wanted.repository is None else wanted.repository.url
    return select(wanted.names, there, offers, wanted.version, wanted.hold, where, wanted.newest)


def _explain_beforehand(
    now: PackageVersionsShape,
    by: str,
    wanted: Wanted,
    to_do: Selection,
    source: PlannedSource | None,
    replaces: Sequence[str],
) -> str | None:
    """Say what is done; the lists are fetched first, so that versions are what is known by now.

    Returns why that would be refused.
    """
    at_work = now["installed"]["dpkg_at_work"]
    if to_do.installs or to_do.blocked:
        if at_work:
            explain(host, f"wait for process {at_work}, which changes packages")
        if at_work or now["installed"]["dpkg_interrupted"]:
            explain(host, "dpkg finishes what it was stopped at, if it was (dpkg --configure -a)")
        explain(host, f"fetch the lists of packages ({manager.FETCH_LISTS[by]})")
        if not is_executing(host):
            is_known = now["candidates"] is not None and now["candidates"]["fetched"]
            if (source is not None and not source.change.is_empty) or (not is_known):
                explain(host, f"{wanted} is then installed from these lists")
            elif to_do.blocked:
                logger.warning(f"{print_prefix(host)}as the lists are now, {to_do.blocked}")
            elif problem := package_steps.tell(by, _packages(now, to_do, replaces)):
                return problem
    package_steps.tell_files(unspared(now, wanted))
    installed = {each["name"] for each in now["installed"]["installed"]}
    for name in wanted.names if wanted.hold and by == "apt-get" else ():
        if name not in installed:
            explain(
                host,
                f"unattended-upgrades and needrestart are told to leave {name} and its services "
                f"alone ({apt_file(name)}, {needrestart_file(name)})",
            )
    holds = to_do.holds if not to_do.blocked else wanted.names if wanted.hold else ()
    for name in holds:
        explain(host, f"hold {name}: upgrades leave it alone")
    return package_hold.problem(holds, by)


def _packages(
    now: PackageVersionsShape, to_do: Selection, replaces: Sequence[str]
) -> package_steps.Packages:
    held = {each["name"] for each in now["installed"]["installed"] if each["held"]}
    return package_steps.Packages(to_do.installs, to_do.now, held, to_do.holds, replaces)


def _install(
    now: PackageVersionsShape,
    by: str,
    wanted: Wanted,
    replaces: Sequence[str],
    exchange: Exchange | None,
) -> Generator[StringCommand | FunctionCommand, Any, Selection | None]:
    """Returns what was done; None where the host was refused."""
    finishes = now["installed"]["dpkg_at_work"] or now["installed"]["dpkg_interrupted"]
    yield from package_steps.ready(by, wanted.names, finishes=bool(finishes))
    after = joint_reading.get_fact_now(PackageVersions, packages=wanted.names)
    if after is None:
        yield refuse(host, _CANNOT_TELL_PACKAGES)
        return None
    to_do = selection(after, wanted)
    if to_do.blocked:
        yield refuse(host, f"{to_do.blocked}: nothing was installed")
        return None
    if to_do.installs:
        exchanged = exchange(by, to_do) if exchange and not finishes else None
        if exchanged is not None:
            yield from exchanged
        else:
            yield from package_steps.installed(
                by, _packages(after, to_do, replaces), unpacks_again=bool(finishes)
            )
        # only now it is known which services they have
        after = joint_reading.get_fact_now(PackageVersions, packages=wanted.names)
        if after is None:
            yield refuse(host, _CANNOT_TELL_PACKAGES)
            return None
    else:
        yield from package_steps.held(by, to_do.holds)
    yield from package_steps.write(unspared(after, wanted))
    return to_do


def is_from(repository: Repository, origin: str) -> bool:
    """Whether a version is from a repository.

    + repository: it
    + origin: as :class:`kubenode.facts.candidates.CandidateShape` has it
    """
    # dnf and zypper call a repository by its name
    return origin == repository.name or (
        apt_sources.base(origin.partition(" ")[0]) == apt_sources.base(repository.url)
    )
