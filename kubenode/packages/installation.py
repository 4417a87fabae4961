"""What has to be done so that a program is installed, and stays the version it is."""

from __future__ import annotations

from dataclasses import dataclass

from kubenode.packages import manager

_FINISHES = {
    "apt-get": "dpkg was interrupted: it finishes what it began (dpkg --configure -a), and what it "
    "has unpacked in part is installed again"
}
_FINISHES_RPM = (
    "rpm was interrupted: the version that it was replacing is removed, the newer one stays"
)


@dataclass(frozen=True)
class Installed:
    """A package that is installed, or was begun to be."""

    name: str
    version: str
    held: bool
    """Whether upgrades leave it alone."""
    configured: bool
    """False: dpkg was stopped between unpacking it and configuring it, or rpm between installing it
    and removing the version before."""

    def __str__(self) -> str:
        held = ", held" if self.held else ""
        return f"package {self.name} {self.version}{held}" + (
            "" if self.configured else ", not configured"
        )


@dataclass(frozen=True)
class Program:
    """What a host has of a program."""

    binary: str | None
    """Its path, None when it is not installed."""
    version: str | None
    package: Installed | None
    """Where it is from; None for no package."""
    dpkg_interrupted: bool
    """Whether dpkg was stopped at its work, on any package."""
    dpkg_at_work: str | None
    """The process that changes packages now, as ``PID NAME``."""

    def __str__(self) -> str:
        if not self.binary:
            return "not installed"
        origin = self.package or "from no package"
        return f"{self.version or 'unknown version'} at {self.binary}, {origin}"


@dataclass(frozen=True)
class Installation:
    """What to do, or why not to. It is empty when there is nothing to do.

    + now: what there is
    + installs: the package that is installed, with its version where one is asked for
    + finishes_dpkg: whether dpkg finishes first what it was stopped at, or what a process that is
      at work may be stopped at
    + holds: the package that is held afterwards
    + blocked: why nothing may be done
    """

    now: Program
    installs: str | None = None
    finishes_dpkg: bool = False
    holds: str | None = None
    blocked: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.installs or self.holds or self.blocked)

    def explained(self, package_manager: str) -> list[str]:
        """What that changes, a sentence each.

        + package_manager: ``apt-get``, ``dnf`` or ``zypper``
        """
        sentences = []
        if self.installs and self.now.dpkg_at_work:
            sentences.append(f"wait for process {self.now.dpkg_at_work}, which changes packages")
        if self.finishes_dpkg and self.now.dpkg_interrupted:
            sentences.append(_FINISHES.get(package_manager, _FINISHES_RPM))
        if self.installs:
            fetch = manager.FETCH_LISTS[package_manager]
            sentences.append(f"fetch the lists of packages ({fetch})")
            sentences.append(f"install {self.installs} with {package_manager} (was: {self.now})")
        if self.holds:
            sentences.append(f"hold {self.holds}: upgrades leave it alone")
        return sentences


def installation(now: Program, package: str, version: str | None, hold: bool) -> Installation:
    """
    What to do so that a package is installed, or a program that is there is left alone.

    + now: what the host has of the program, from whatever source
    + package: the package to install, of the program's own name
    + version: exact; None leaves an installed one alone
    + hold: keep upgrades from it. False leaves a hold as it is

    **Example:**

    .. code:: python

        installation(Program(None, None, None, False, None), "containerd", None, True).installs
    """
    there = now.package
    if version is not None and now.binary and (there is None or there.name != package):
        return Installation(
            now,
            blocked=f"{package} {now.version} at {now.binary} is not from the package {package}, "
            f"so it cannot become {version}: remove it first, or do not ask for a version",
        )
    installs = (
        not now.binary
        or (there is not None and not there.configured)
        or (version is not None and not _is_version(there, version))
    )
    is_held = there is not None and there.held
    if not installs:
        holds = there.name if there is not None and hold and not is_held else None
        return Installation(now, holds=holds)
    finishes_dpkg = now.dpkg_at_work is not None or now.dpkg_interrupted
    # a package that is installed again loses its hold
    holds = package if (hold and not is_held) or (is_held and finishes_dpkg) else None
    return Installation(now, f"{package} {version or ''}".rstrip(), finishes_dpkg, holds)


def _is_version(there: Installed | None, version: str) -> bool:
    return there is not None and manager.is_version(there.version, version)
