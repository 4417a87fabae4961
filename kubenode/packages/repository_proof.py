"""A repository is proven before it is trusted: its lists are fetched, and their signature checked,
in a folder of their own. Nothing of the host's package manager is touched by that.

The folder is ``/run/kubenode-repositories/NAME``, which root alone may write to. All may read it:
apt fetches and checks as its user ``_apt``, and would do both as root where that user cannot reach
the folder. There is no secret in it. apt's hooks (``APT::Update::Post-Invoke``) are not run; its
other settings, such as a proxy, count as they do for the host's own sources. So do dnf's. zypper
has the folder for its root, where the repository's key is the only one that is trusted.

An RPM repository that does not sign its lists (``signs_metadata``) is proven to be there, and to
have what is wanted. Its packages' signatures are checked when they are fetched, before any is
installed.

Sources: apt.conf(5), apt-get(8), apt-secure(8), dnf.conf(5), zypper(8).
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
"""Without an answer, after which a repository is not proven: one that is slower is of no use."""

_APART = host_script.read(__file__, "prove_apart.sh")


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
    """A command that fails where a repository is not what it has to be, with the manager's words.

    + repository: it; each of its ``packages`` has to be there
    + manager: ``apt-get``, ``dnf`` or ``zypper``
    + suite, architecture: see :func:`kubenode.packages.repository_files.source_file`
    + key: the certificate, armoured

    What it has fetched stays until :func:`fetch_lists`, and ``kubenode.facts.candidates`` reads it.
    """
    folder = staged(repository.name)
    source = repository_files.source_file(
        repository, manager, suite, architecture, f"{folder}/key.asc"
    )
    contents = [key, source.encode()]
    values = {"NAME": repository.name}
    packages = " ".join(map(shlex.quote, repository.packages))
    if manager == "apt-get":
        values["PACKAGES"] = shlex.quote(" ".join(repository.packages))
        contents.append(_settings(folder).encode())
        name = "prove_with_apt.sh"
    elif manager == "dnf":
        values |= {"PACKAGES": packages, "SECONDS": str(_SECONDS)}
        name = "prove_with_dnf.sh"
    else:
        values["PACKAGES"] = packages
        name = "prove_with_zypper.sh"
    head = host_script.filled(_APART, STAGED=folder)
    script = host_script.read(__file__, name, **values)
    return host_lock.under_lock(f"{head}\n{script}", contents)


def fetch_lists(repository: Repository, manager: str) -> StringCommand:
    """A command that fetches the lists of a repository that is in place, and of no other one.

    + repository: it
    + manager: ``apt-get``, ``dnf`` or ``zypper``

    Another process that changes packages is waited for. dnf and zypper take the key, which was
    checked, into rpm's own keys: it may sign any package then.
    """
    paths = repository_files.paths(repository.name, manager)
    if manager == "dnf":
        fetch = f"dnf -y makecache --repo={repository.name}"
    elif manager == "zypper":
        # zypper asks before it takes a key, and nobody answers: this is the one that was checked
        fetch = f"rpm --import {paths.key} && zypper --non-interactive refresh {repository.name}"
    else:
        fetch = (
            f"apt-get -q update -o Dir::Etc::sourcelist={paths.source} "
            "-o Dir::Etc::sourceparts=/dev/null -o APT::Get::List-Cleanup=0 "
            "-o APT::Update::Error-Mode=any"
        )
    return package_locks.patiently(manager, f"rm -rf {staged(repository.name)}; {fetch}")
