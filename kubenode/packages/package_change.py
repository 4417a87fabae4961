"""The sh functions that change packages on a host in a way that can be undone there."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyinfra.api import StringCommand

from kubenode.files import host_lock, whole_file
from kubenode.packages import package_locks
from kubenode.run import host_script

_COMMON = host_script.read(__file__, "package_change.sh").strip()


def _with_common(name: str) -> str:
    own = host_script.read(__file__, name, WAIT_SECONDS=package_locks.WAIT_SECONDS)
    return f"{_COMMON}\n{own.strip()}"


_APT, _RPM = _with_common("apt_change.sh"), _with_common("rpm_change.sh")

STORE = "/var/lib/kubenode/packages"
"""RPMs of what is installed, so that another change has a way back: see rpm_change.sh."""

_KEEP = host_script.read(__file__, "keep_installed.sh", DIRECTORY="/var/lib/kubenode/kept")


@dataclass(frozen=True)
class PackageChange:
    """Which packages come, and which go for them.

    + installs: version by name
    + removes: names of packages that go; no other may
    + now: version by name of what is installed of all these, and of what is *related*
    + related: names of further packages that may come or go with these
    + holds: names of packages that are held afterwards
    """

    installs: Mapping[str, str] = field(default_factory=dict)
    removes: Sequence[str] = ()
    now: Mapping[str, str] = field(default_factory=dict)
    related: Sequence[str] = ()
    holds: Sequence[str] = ()

    @property
    def explained(self) -> list[str]:
        """What that changes, a phrase each: ``containerd 1.7.24 -> 2.1.9``."""
        phrases = []
        for name, version in self.installs.items():
            was = self.now.get(name)
            phrases.append(f"{name} {was} -> {version}" if was else f"{name} {version} (new)")
        phrases += [f"{name} {self.now[name]} goes" for name in self.removes if name in self.now]
        return phrases


def functions(change: PackageChange, manager: str) -> str:
    """The sh functions ``pm_expected``, ``pm_fetch`` and so on: see ``apt_change.sh`` and
    ``rpm_change.sh``.

    + change: what they do
    + manager: ``apt-get``, ``dnf`` or ``zypper``

    They call what :mod:`kubenode.packages.package_locks` and :mod:`kubenode.files.host_lock` have,
    and keep all that they need in ``$change``, a directory for root alone.
    """
    removes = [name for name in change.removes if name in change.now]
    lists = {
        "installs": [f"{name}={version}" for name, version in change.installs.items()],
        "removes": removes,
        "related": [name for name in change.related if name not in (*change.installs, *removes)],
        "expected": [f"{name}={version}" for name, version in change.now.items()],
        "holds": change.holds,
    }
    values = [f"{name}={shlex.quote(' '.join(words))}" for name, words in lists.items()]
    if manager == "apt-get":
        return "\n".join([*values, _APT])
    values += [f"manager={shlex.quote(manager)}", f"store={shlex.quote(STORE)}"]
    return "\n".join([*values, _RPM])


def kept(names: Sequence[str], manager: str) -> StringCommand:
    """A command that keeps the RPMs of packages in :data:`STORE`, while a repository has them.

    + names: of the packages; one that is not installed is left out
    + manager: ``dnf`` or ``zypper``

    It comes before their repository becomes another one: a repository for each minor release has
    the packages of that one alone. It fails where they cannot be had, and says what to do.
    """
    parts = [
        whole_file.FUNCTIONS,
        package_locks.HOLDER,
        package_locks.PATIENTLY,
        functions(PackageChange(related=names), manager),
        _KEEP,
    ]
    return host_lock.under_lock("\n".join(part.strip() for part in parts))
