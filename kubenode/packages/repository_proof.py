"""A repository is proven before it is trusted: its lists are fetched, and their signature checked,
in a folder of their own. Nothing of the host's package manager is touched by that.

The folder is ``/run/kubenode-repositories/NAME``, which root alone may write to. All may read it:
apt fetches and checks as its user ``_apt``, and would do both as root where that user cannot reach
the folder. There is no secret in it. apt's hooks (``APT::Update::Post-Invoke``) are not run; its
other settings, such as a proxy, count as they do for the host's own sources.

Sources: apt.conf(5), apt-get(8), apt-secure(8).
"""

from __future__ import annotations

import shlex

from pyinfra.api import StringCommand

from kubenode.files import host_lock
from kubenode.packages import package_locks, repository_files
from kubenode.packages.source import Repository
from kubenode.run import host_script

DIRECTORY = "/run/kubenode-repositories"

_SECONDS = 20
"""Without an answer, after which apt gives up: a repository that is slower is not proven."""


def staged(name: str) -> str:
    """The folder in which a repository's lists are fetched.

    + name: of the repository
    """
    return f"{DIRECTORY}/{name}"


def _settings(folder: str) -> str:
    """apt.conf(5) text that follows the host's own."""
    lines = [
        "#clear APT::Update::Pre-Invoke;",
        "#clear APT::Update::Post-Invoke;",
        "#clear APT::Update::Post-Invoke-Success;",
        f'Dir::State::lists "{folder}/lists/";',
        f'Dir::Cache "{folder}/cache";',
        'Dir::Cache::pkgcache "";',
        'Dir::Cache::srcpkgcache "";',
        f'Dir::Etc::sourcelist "{folder}/repository.sources";',
        'Dir::Etc::sourceparts "/dev/null";',
        'Acquire::Languages "none";',
        'Acquire::GzipIndexes "false";',
        'Acquire::AllowInsecureRepositories "false";',
        'Acquire::AllowWeakRepositories "false";',
        'Acquire::Retries "1";',
        f'Acquire::http::Timeout "{_SECONDS}";',
        f'Acquire::https::Timeout "{_SECONDS}";',
        # what cannot be reached is only a warning otherwise, and the code is 0
        'APT::Update::Error-Mode "any";',
    ]
    return "".join(f"{line}\n" for line in lines)


def prove(
    repository: Repository, manager: str, suite: str | None, architecture: str | None, key: bytes
) -> StringCommand:
    """A command that fails where a repository is not what it has to be, with apt's own words.

    + repository: it; each of its ``packages`` has to be there
    + manager: ``apt-get``, ``dnf`` or ``zypper``
    + suite, architecture: see :func:`kubenode.packages.repository_files.source_file`
    + key: the certificate, armoured

    What it has fetched stays until :func:`fetch_lists`, and ``kubenode.facts.candidates`` reads it.
    """
    folder = staged(repository.name)
    ending = "asc" if manager == "apt-get" else "repo"
    source = repository_files.source_file(
        repository, manager, suite, architecture, f"{folder}/key.{ending}"
    )
    script = host_script.read(
        __file__,
        "prove_with_apt.sh",
        STAGED=folder,
        NAME=repository.name,
        PACKAGES=shlex.quote(" ".join(repository.packages)),
    )
    return host_lock.under_lock(script, [key, source.encode(), _settings(folder).encode()])


def fetch_lists(repository: Repository, manager: str) -> StringCommand:
    """A command that fetches the lists of a repository that is in place, and of no other one.

    + repository: it
    + manager: ``apt-get``, ``dnf`` or ``zypper``

    Another process that changes packages is waited for.
    """
    source = repository_files.paths(repository.name, manager).source
    options = (
        f"-o Dir::Etc::sourcelist={source} -o Dir::Etc::sourceparts=/dev/null "
        "-o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any"
    )
    return package_locks.patiently(
        manager, f"rm -rf {staged(repository.name)}; apt-get -q update {options}"
    )
