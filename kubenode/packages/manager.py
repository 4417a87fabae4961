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
    # what is held by excludepkgs has no lock, and may be removed
    "dnf": "{ dnf versionlock delete @PACKAGE@ >/dev/null 2>&1 || true; }",
    "zypper": "zypper --non-interactive removelock @PACKAGE@",
}

# Docker's containerd.io obsoletes containerd: with its repository dnf would take that instead. What
# has to be removed for a package is an error of dnf and zypper, and stays one.
_INSTALL: Mapping[str, str] = {
    "dnf": host_script.read(__file__, "install_with_dnf.sh"),
    "zypper": host_script.read(__file__, "install_with_zypper.sh"),
}

_CHANGE_HELD = host_script.read(__file__, "change_held.sh")

FETCH_LISTS: Mapping[str, str] = {
    "apt-get": "apt-get update",
    "dnf": "dnf -y makecache --refresh",
    "zypper": "zypper --non-interactive refresh",
}
"""The command that fetches lists of packages, by manager."""

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


def simulated(names: Sequence[str]) -> str:
    """apt's command that succeeds when packages can be installed, and does nothing.

    + names: of the packages
    """
    words = " ".join(map(shlex.quote, names))
    return f"apt-get -s install --no-install-recommends {words}"


def apt_held(is_pinned: bool) -> str:
    """What apt-get is told of packages that are held.

    + is_pinned: whether an exact version is asked for: a held package may change then
    """
    return " --allow-change-held-packages" if is_pinned else ""


def install_with_apt(pinned: Sequence[str], wait_seconds: int) -> str:
    """apt's command that installs packages, or makes them other versions.

    + pinned: the packages, as :func:`pinned` gives them
    + wait_seconds: how long it waits for another process that has dpkg's lock
    """
    held = apt_held(any("=" in each for each in pinned))
    return (
        f"{APT_GET} install --no-install-recommends --allow-downgrades "
        f"-o DPkg::Lock::Timeout={wait_seconds}{held} {' '.join(map(shlex.quote, pinned))}"
    )


def install(manager: str, package: str) -> str:
    """The command that installs a package, or makes it another version.

    + manager: ``dnf`` or ``zypper``
    + package: as :func:`pinned` gives it

    pyinfra's own operations are not used. zypper's takes any key that a repository shows
    (``--gpg-auto-import-keys``) and leaves a newer version where it is without a word, dnf's takes
    what obsoletes the package instead of it, and apt's removes what conflicts without a word.
    """
    return _install(manager, package, in_spite_of_holds=False)


def _install(manager: str, package: str, in_spite_of_holds: bool) -> str:
    values = {"PACKAGE": shlex.quote(package)}
    if manager == "dnf":
        values["ON_PURPOSE"] = "yes" if in_spite_of_holds else ""
    return host_script.filled(_INSTALL[manager], **values)


def change_held(manager: str, name: str, package: str) -> str:
    """The command that makes a held package another version, which is held where it was.

    + manager: ``dnf`` or ``zypper``; apt-get has an option for it, see :func:`apt_held`
    + name: the package's
    + package: as :func:`pinned` gives it

    Where the change fails the package is held as it was. A version lock of dnf's is still that of
    the version before: see :func:`hold`.
    """
    if manager == "dnf":
        return _install(manager, package, in_spite_of_holds=True)
    return host_script.filled(
        _CHANGE_HELD,
        UNHOLD=f"zypper --non-interactive removelock {shlex.quote(name)}",
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

    dnf may have no version locks: see :mod:`kubenode.packages.dnf_excludes`.
    """
    return host_script.filled(_HOLD[manager], PACKAGE=shlex.quote(package))


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
