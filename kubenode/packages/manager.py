"""The words of apt, dnf and zypper for what is done to packages: text, and nothing else.

Sources: apt-get(8), apt-mark(8), dpkg(1), dnf(8), the page of dnf's versionlock plugin, zypper(8).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from kubenode.run import host_script

# files that the administrator has changed stay, as in pyinfra's apt.packages
APT_GET = (
    "DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Options::=--force-confdef "
    "-o Dpkg::Options::=--force-confold"
)

_HOLD: Mapping[str, str] = {
    "apt-get": "apt-mark hold @PACKAGE@",
    "dnf": host_script.read(__file__, "hold_with_dnf.sh"),
    "zypper": "zypper --non-interactive addlock @PACKAGE@",
}

_UNHOLD: Mapping[str, str] = {
    "dnf": "dnf versionlock delete @PACKAGE@",
    "zypper": "zypper --non-interactive removelock @PACKAGE@",
}

# Docker's containerd.io obsoletes containerd: with its repository dnf would take that instead. What
# has to be removed for a package is an error of dnf and zypper, and stays one.
_INSTALL: Mapping[str, str] = {
    "dnf": "dnf install -y --setopt=obsoletes=False @PACKAGE@",
    "zypper": host_script.read(__file__, "install_with_zypper.sh"),
}

_CHANGE_HELD = host_script.read(__file__, "change_held.sh")

ABLE_TO_HOLD: Mapping[str, str] = {"dnf": host_script.read(__file__, "able_to_hold_with_dnf.sh")}
"""What is run before a package is installed that is held afterwards, by manager: where it cannot be
held it is not installed."""

FINISH_DPKG = "DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --configure -a"
"""dpkg finishes what it was stopped at."""

UNPACK_AGAIN = host_script.read(__file__, "unpack_again.sh", APT_GET=APT_GET)
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
    """The command that installs a package, or makes it another version.

    + manager: ``apt-get``, ``dnf`` or ``zypper``
    + package: as :func:`pinned` gives it
    + options: apt's, see :func:`apt_options`

    pyinfra's own operation is used for apt. Those for dnf and zypper are not: zypper's takes any
    key that a repository shows (``--gpg-auto-import-keys``) and leaves a newer version where it is
    without a word, and dnf's takes what obsoletes the package instead of it.
    """
    if manager == "apt-get":
        return (
            f"{APT_GET} install --no-install-recommends --allow-downgrades "
            f"{options} {shlex.quote(package)}"
        )
    return host_script.filled(_INSTALL[manager], PACKAGE=shlex.quote(package))


def change_held(manager: str, name: str, package: str) -> str:
    """The command that makes a held package another version, and holds that.

    + manager: ``dnf`` or ``zypper``; apt-get has an option for it, see :func:`apt_options`
    + name: the package's
    + package: as :func:`pinned` gives it

    Where the change fails the package is held as it was.
    """
    return host_script.filled(
        _CHANGE_HELD,
        UNHOLD=host_script.filled(_UNHOLD[manager], PACKAGE=shlex.quote(name)),
        INSTALL=install(manager, package),
        HOLD=hold(manager, name),
    )


def finish(manager: str, names: Sequence[str]) -> str:
    """The command that finishes what the package manager was stopped at.

    + manager: ``apt-get``, ``dnf`` or ``zypper``
    + names: packages; apt's are all finished
    """
    if manager == "apt-get":
        return FINISH_DPKG
    return host_script.read(__file__, "finish_rpm.sh", PACKAGES=" ".join(map(shlex.quote, names)))


def hold(manager: str, package: str) -> str:
    """The command that keeps upgrades from a package.

    + manager: ``apt-get``, ``dnf`` or ``zypper``
    + package: its name
    """
    command = host_script.filled(_HOLD[manager], PACKAGE=shlex.quote(package))
    able = ABLE_TO_HOLD.get(manager)
    return f"{able}\n{command}" if able else command


def remove(manager: str, packages: Sequence[str], held: Sequence[str], kept: str) -> str:
    """The command that removes packages, held or not, and keeps what was configured.

    + manager: ``dnf`` or ``zypper``; for apt-get see :mod:`kubenode.packages.guarded_removal`
    + packages: their names
    + held: those of them that are held
    + kept: path of a configuration file of theirs, which rpm renames (``FILE.rpmsave``) where
      somebody has changed it, and which gets its name back

    It fails, and removes nothing, where another package needs one of them: dnf and zypper would
    remove that too.
    """
    unhold = [host_script.filled(_UNHOLD[manager], PACKAGE=shlex.quote(name)) for name in held]
    return host_script.read(
        __file__,
        "remove_rpm.sh",
        FILE=shlex.quote(kept),
        PACKAGES=" ".join(map(shlex.quote, packages)),
        REMOVE=_REMOVE[manager],
        UNHOLD="\n".join(unhold),
    )


_REMOVE: Mapping[str, str] = {
    # what was installed for a package stays with it: others may have come to use it
    "dnf": "dnf remove -y --setopt=clean_requirements_on_remove=False",
    "zypper": "zypper --non-interactive remove --no-clean-deps",
}


def is_version(installed: str, wanted: str) -> bool:
    """Whether an installed version is the one that was asked for.

    + installed: such as ``1.7.24-1.fc41``
    + wanted: the same; without its epoch, or an RPM's without its release
    """
    if not re.match(r"\d+:", wanted, re.ASCII):
        # nobody writes an epoch that need not be written
        installed = re.sub(r"^\d+:", "", installed, flags=re.ASCII)
    return installed == wanted or installed.startswith(f"{wanted}-")
