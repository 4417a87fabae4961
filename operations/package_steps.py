"""Install packages with the host's package manager: the steps that all operations share."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from typing import Any, NamedTuple

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, StringCommand

from kubenode.facts import image_based
from kubenode.facts.installation import Installation, InstallationShape
from kubenode.facts.platform import Platform
from kubenode.files import whole_file
from kubenode.files.exact_text import is_utf8, text_of
from kubenode.operations import package_hold
from kubenode.packages import guarded_install, manager, package_locks
from kubenode.run.pyinfra_internals import print_prefix
from kubenode.run.telling import explain, explain_file, refuse
from kubenode.wire import joint_reading

Commands = Generator[StringCommand | FunctionCommand, Any, None]


class Packages(NamedTuple):
    """Packages that are installed together.

    + versions: in full, by name; None is what the package manager takes
    + now: what is installed of them, by name
    + held: names of those that are held now
    + holds: names of those that are held afterwards
    + may_go: names of packages that may be removed for them; no other is
    """

    versions: Mapping[str, str | None]
    now: Mapping[str, str] = {}
    held: Collection[str] = ()
    holds: Sequence[str] = ()
    may_go: Collection[str] = ()

    def pinned(self, by: str) -> list[str]:
        """Them, as a package manager is asked for them."""
        return [manager.pinned(by, name, version) for name, version in self.versions.items()]


def not_for_packages() -> str | None:
    """Why nothing may be installed on a host, None when it may; it is asked what it is."""
    platform = joint_reading.get_fact_now(Platform)
    if platform is None:
        return "cannot tell what this host is: nothing was changed"
    return image_based.refusal({"image": platform["image"], "usr": platform["usr"]})


def ready(by: str, names: Sequence[str], *, finishes: bool) -> Commands:
    """The commands after which the package manager can say what there is of packages.

    + by: ``apt-get``, ``dnf`` or ``zypper``
    + names: of the packages
    + finishes: whether something may be left that was stopped half-way, which is finished first
    """
    if finishes:
        yield package_locks.patiently(by, manager.finish(by, names))
    if by == "apt-get":
        yield package_locks.with_lists_fetched(manager.simulated(names))
    else:
        yield package_locks.lists_fetched(by)


def tell(by: str, wanted: Packages) -> str | None:
    """Say what comes, and what goes for it; returns why that is refused.

    + by: ``apt-get``, ``dnf`` or ``zypper``; apt says it by the lists that the host has now
    + wanted: the packages
    """
    going: Mapping[str, str] = {}
    would = None
    if by == "apt-get":
        pinned = wanted.pinned(by)
        would = joint_reading.get_fact_if_it_answers(Installation, packages=pinned)
        if would is None:
            # a host that is slow: what is installed then lets nothing go that may not
            what = f"what comes and goes with {', '.join(pinned)} cannot be told beforehand"
            logger.warning(f"{print_prefix(host)}{what}")
        elif would["error"]:
            why = would["error"]
            return f"{', '.join(pinned)} cannot be installed: {why}: nothing was installed"
        going = would["removes"] if would else {}
        if problem := guarded_install.unannounced(going, wanted.may_go):
            return f"{', '.join(pinned)}: {problem}: nothing was installed"
    for name, version in wanted.versions.items():
        was = wanted.now.get(name, "(not installed)")
        explain(host, f"install {name} {was} -> {version or 'what there is'}")
    for name, there in going.items():
        explain(host, f"remove {name} {there} for it")
    tell_what_comes(would, wanted.versions)
    return None


def tell_what_comes(would: InstallationShape | None, named: Collection[str]) -> None:
    """Say which packages come besides; None is that nobody can tell.

    + would: what apt would do
    + named: names of the packages that were told already
    """
    for name, version in would["installs"].items() if would else ():
        if name not in named:
            was = would["now"].get(name) if would else None
            what = f"{was} -> {version}" if was else f"{version} (new)"
            undone = "stays" if was else "goes"
            explain(host, f"{name} {what} comes with it, and {undone} if that is undone")


def installed(by: str, wanted: Packages, *, unpacks_again: bool) -> Commands:
    """The commands that install packages, after what they change was told, and hold them.

    + by: ``apt-get``, ``dnf`` or ``zypper``
    + wanted: the packages
    + unpacks_again: whether dpkg may have been stopped while it unpacked

    The host is refused where they cannot be had, or something would go for them that must not.
    """
    if problem := tell(by, wanted):
        yield refuse(host, problem)
        return
    if by == "apt-get":
        if unpacks_again:
            yield package_locks.patiently(by, manager.UNPACK_AGAIN)
        yield guarded_install.install(wanted.pinned(by), wanted.may_go)
    else:
        for name, package in zip(wanted.versions, wanted.pinned(by), strict=True):
            command = manager.install(by, package)
            if name in wanted.held:
                command = manager.change_held(by, name, package)
            yield package_locks.patiently(by, command)
    # zypper's are held again by what changes them
    holds = [name for name in wanted.holds if by != "zypper" or name not in wanted.held]
    yield from held(by, holds)


def held(by: str, names: Sequence[str]) -> Commands:
    """The commands that keep upgrades from packages.

    + by: ``apt-get``, ``dnf`` or ``zypper``
    + names: of the packages
    """
    hold = package_hold.planned(names, by)
    if hold.refusal:
        yield refuse(host, hold.refusal)
        return
    yield from package_hold.held(hold)


def tell_files(changes: Sequence[whole_file.Change]) -> None:
    """Say which files are written, of what unattended-upgrades and needrestart leave alone.

    + changes: of :mod:`kubenode.packages.left_alone`
    """
    for change in changes:
        old, new = (None if each is None else text_of(each) for each in (change.old, change.new))
        shown = old if old is None or is_utf8(old) else "(no text)\n"
        explain_file(host, change.path, shown, new)


def write(changes: Sequence[whole_file.Change]) -> Commands:
    """The command that writes them.

    + changes: of :mod:`kubenode.packages.left_alone`
    """
    if changes:
        yield whole_file.change(changes)
