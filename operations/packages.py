"""Where packages come from, and which of them are installed."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, OperationValueError, StringCommand, operation

from kubenode.facts.repositories import Repositories, RepositoriesShape
from kubenode.files import whole_file
from kubenode.files.exact_text import is_utf8, text_of
from kubenode.packages import repository_change, repository_files, repository_proof, signing_key
from kubenode.packages.repository_change import RepositoryChange
from kubenode.packages.source import NotBuiltFor, Repository, docker_repository
from kubenode.run.pyinfra_internals import print_prefix
from kubenode.run.telling import explain, explain_file, refuse
from kubenode.wire import joint_reading
from kubenode.wire.bounded import INSTALL_SECONDS, bounded

Commands = Generator[StringCommand | FunctionCommand, Any, None]

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
    if repository != "docker" and not isinstance(repository, Repository):
        raise OperationValueError(f"repository is a Repository or 'docker', not {repository!r}")
    name = repository if isinstance(repository, str) else repository.name
    now = joint_reading.get_fact(Repositories, repository=name)
    if now is None:
        yield refuse(host, "cannot tell where packages come from, see the lines above")
    elif now["package_manager"] is None:
        yield refuse(host, _NO_MANAGER)
    elif present:
        yield from _present(repository, _host(now, now["package_manager"]))
    else:
        yield from _absent(name, _host(now, now["package_manager"]))


def _host(now: RepositoriesShape, manager: str) -> repository_change.Host:
    return repository_change.Host(
        manager,
        now["architecture"],
        now["os_release"],
        now["files"],
        now["unreadable"],
        now["lists"],
    )


def _present(repository: Repository | Literal["docker"], there: repository_change.Host) -> Commands:
    try:
        wanted = docker_repository(there.os_release) if isinstance(repository, str) else repository
        key = signing_key.checked(wanted)
    except (NotBuiltFor, signing_key.KeyProblem) as problem:
        yield refuse(host, f"{problem}: nothing was changed")
        return
    to_do = repository_change.present(wanted, key, there)
    if to_do.blocked:
        yield refuse(host, f"{to_do.blocked}: nothing was changed")
        return
    for warning in to_do.warnings:
        logger.warning(f"{print_prefix(host)}{warning}")
    if to_do.is_empty:
        place = repository_files.paths(wanted.name, there.manager).source
        host.noop(f"{place} is as wanted, signed by {key.fingerprint}")
        return
    explained(to_do, wanted, there.manager)
    if to_do.files:
        yield repository_proof.prove(
            wanted, there.manager, to_do.suite, there.architecture, key.content
        )
    yield from put_in_place(to_do, wanted, there.manager)


def explained(to_do: RepositoryChange, repository: Repository, manager: str) -> None:
    """Say what becomes of a repository.

    + to_do: what is not blocked
    + repository, manager: of which, by which
    """
    where = f"{repository.url}{f' {to_do.suite}' if to_do.suite else ''}"
    if to_do.files:
        explain(
            host,
            f"prove {where}: fetch its lists apart, signed by {repository.fingerprint}",
        )
    for change in to_do.files:
        explain_file(host, change.path, _text(change.old), _text(change.new))
    if to_do.fetches:
        explain(host, f"fetch the lists of {where} with {manager}")


def put_in_place(to_do: RepositoryChange, repository: Repository, manager: str) -> Commands:
    """The commands that follow what was proven.

    + to_do: what is not blocked
    + repository, manager: of which, by which
    """
    if to_do.files:
        yield whole_file.change(to_do.files)
    if to_do.fetches:
        yield repository_proof.fetch_lists(repository, manager)


def _text(content: bytes | None) -> str | None:
    if content is None:
        return None
    text = text_of(content)
    return text if is_utf8(text) else "(no text)\n"


def _absent(name: str, there: repository_change.Host) -> Commands:
    to_do = repository_change.absent(name, there)
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
