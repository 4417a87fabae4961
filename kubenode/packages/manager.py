"""The words of apt, dnf and zypper for what is done to packages: text, and nothing else.

Sources: apt-get(8), apt-mark(8), dpkg(1), dnf(8), the page of dnf's versionlock plugin, zypper(8).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from kubenode.run import host_script

# files that the administrator has changed stay, as in pyinfra's apt.packages
_APT_GET = (
    "DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Options::=--force-confdef "
    "-o Dpkg::Options::=--force-confold"
)

_HOLD: Mapping[str, str] = {
    "apt-get": "apt-mark hold {}",
    "dnf": "dnf versionlock add {}",
    "zypper": "zypper --non-interactive addlock {}",
}

_INSTALL: Mapping[str, str] = {
    "apt-get": f"{_APT_GET} install --no-install-recommends --allow-downgrades "
    "{options} {package}",
    "dnf": "dnf install -y {package}",
    "zypper": "zypper --non-interactive install -y {package}",
}

FINISH_DPKG = "DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --configure -a"
"""dpkg finishes what it was stopped at."""

UNPACK_AGAIN = host_script.read(__file__, "unpack_again.sh", APT_GET=_APT_GET)
"""A package that dpkg was stopped at while it unpacked (H, or R: reinstallation required) is not
installed, and ``apt-get install`` calls it the newest version and does nothing."""


def pinned(manager: str, package: str, version: str | None) -> str:
    """A package as the manager is asked for it, such as ``containerd=1.7.24``.

    + manager: ``apt-get``, ``dnf`` or ``zypper``
    + package: its name
    + version: exact; None is any
    """
    return f"{package}{'-' if manager == 'dnf' else '='}{version}" if version else package


def simulated(package: str, is_pinned: bool) -> str:
    """apt's command that succeeds when a package can be installed, and does nothing.

    + package: as :func:`pinned` gives it
    + is_pinned: whether an exact version is asked for
    """
    may_change = " --allow-downgrades --allow-change-held-packages" if is_pinned else ""
    return f"apt-get -s install --no-install-recommends{may_change} {shlex.quote(package)}"


def apt_options(is_pinned: bool, wait_seconds: int) -> str:
    """What apt-get is told besides the package.

    + is_pinned: whether an exact version is asked for: a held package may change then
    + wait_seconds: how long it waits for another process that has dpkg's lock
    """
    held = " --allow-change-held-packages" if is_pinned else ""
    return f"-o DPkg::Lock::Timeout={wait_seconds}{held}"


def install(manager: str, package: str, options: str = "") -> str:
    """The command that installs a package, where pyinfra's own operation cannot be had.

    + manager: ``apt-get``, ``dnf`` or ``zypper``
    + package: as :func:`pinned` gives it
    + options: apt's, see :func:`apt_options`
    """
    return _INSTALL[manager].format(options=options, package=shlex.quote(package))


def hold(manager: str, package: str) -> str:
    """The command that keeps upgrades from a package.

    + manager: ``apt-get``, ``dnf`` or ``zypper``
    + package: its name
    """
    return _HOLD[manager].format(shlex.quote(package))


def is_version(installed: str, wanted: str) -> bool:
    """Whether an installed version is the one that was asked for.

    + installed: such as ``1.7.24-1.fc41``
    + wanted: the same, or an RPM's version without its release
    """
    return installed == wanted or installed.startswith(f"{wanted}-")
