"""What the fact of every container runtime has in common.

A shape and no fact: each runtime has a script and a shape of its own, with this one inside.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from kubenode.facts.file_systems import FileSystemShape
from kubenode.linux.cgroups import Driver
from kubenode.linux.place import PlaceShape
from kubenode.linux.unit import UnitShape

LEFT_SUFFIXES = ("dpkg-dist", "dpkg-new", "ucf-dist", "rpmnew", "rpmsave")
"""What package managers put behind a file's name where somebody has edited it: dpkg(1), ucf(1), and
rpm, whose ``rpmsave`` is the edited file."""


class PackageShape(TypedDict):
    """The package a runtime came from."""

    name: str
    """Such as ``containerd`` (distributions) or ``containerd.io`` (Docker)."""
    version: str
    held: bool
    """Whether upgrades leave it alone (apt-mark hold, dnf versionlock, zypper addlock)."""
    configured: bool
    """False: dpkg was stopped between unpacking it and configuring it, so it may not work; or rpm
    between installing it and removing the version before."""


class InstalledShape(TypedDict):
    """What is installed of a runtime."""

    binary: str | None
    """Path of the program, None when the runtime is not installed."""
    version: str | None
    """Such as ``1.7.24``, None when the program does not say."""
    package: PackageShape | None
    """None when it is not from a package, or the host has no known package manager."""
    dpkg_interrupted: bool
    """Whether dpkg was stopped at its work, on any package: apt refuses then. False while another
    process is at work: what is half-done then is being done."""
    dpkg_at_work: str | None
    """The process that has a lock of dpkg's, apt's or rpm's, as ``PID NAME``."""


class HandlerShape(TypedDict):
    """A runtime handler, such as ``runc`` or ``nvidia``."""

    runtime_type: str | None
    recognised: bool
    """False: nobody can tell which driver its shim uses. A type that kubenode does not know and
    that states no driver, or a path, of which containerd does not know that it is runc's."""
    cgroup_driver: Driver | None
    """None for handlers that have settings of their own (kata, runsc), and for those that are not
    recognised."""
    stated: PlaceShape | None
    """The line that states the driver; None for the release's default, cgroupfs."""
    defined: PlaceShape | None
    """The line that states ``runtime_type``; None for the release's default."""


class ConfigShape(TypedDict):
    """A runtime's main configuration file."""

    path: str
    exists: bool | None
    """None: it could not be read."""
    version: int | None
    """Its configuration version; 1 when it states none, None when there is nothing in it, and of a
    runtime whose files have no version."""
    highest_version: int | None
    """The highest this release takes."""
    error: str | None
    """Why it cannot be used: ``FILE:LINE:COLUMN: reason``, or what the runtime says of it."""


class CniShape(TypedDict):
    """Where a runtime looks for CNI plugins, and what the network needs."""

    bin_dirs: list[str] | None
    """The directories in force; None when the runtime does not say."""
    conf_dir: str | None
    config: str | None
    """The network's configuration that counts: the first file of ``conf_dir`` by name; None when
    there is none, as before a CNI is installed, and when the directory cannot be read."""
    error: str | None
    """Why it cannot be used, or why it is not known whether there is one."""
    plugins: list[str]
    """The plugins it names, those for addresses (``ipam``) too, and ``loopback``, which containerd
    calls for each pod unless it has its own."""
    found: dict[str, list[str]]
    """Executables by directory, of those in force and the usual ones that exist, at most 200."""


class DataRootShape(TypedDict):
    """Where a runtime keeps images and containers."""

    path: str | None
    """The one in force after a restart; None when the runtime does not say."""
    file_system: FileSystemShape | None
    """Where that is. None when it is not known, and for the runtime's usual place, which is one of
    :class:`kubenode.facts.machine.Machine`'s directories."""
    error: str | None
    """Why the path or its file system is not known."""


class RuntimeShape(TypedDict):
    """What a runtime is, how it is configured and what it does."""

    installed: InstalledShape
    config: ConfigShape
    effective: bool
    """Whether the settings are what the runtime makes of all its files; otherwise they are what the
    main file says."""
    handlers: dict[str, HandlerShape]
    """By name; empty for a runtime that has no table of them."""
    default_handler: str | None
    pause_image: str | None
    left_by_packages: list[str] | None
    """Files that a package manager left beside configuration files that were edited: a new one that
    waits to be merged (``.dpkg-dist``), or the edited one (``.rpmsave``). None: not known."""
    data_root: DataRootShape
    cni: CniShape
    unit: UnitShape | None
    """None: there is no such unit, or the host has no systemd."""
    socket: str
    """Where it answers CRI."""
    cri: Literal["serving", "disabled", "down", "unknown"]
    """``disabled``: the daemon answers, and CRI is off or failed. ``unknown``: it cannot be asked,
    for want of a program or of the right to, or since its socket is not root's."""
    restart_pending: list[str] | None
    """Files changed since the daemon started; None when that is unknown or it does not run."""
    clock_set_back: list[str]
    """Files, or the socket, that the host's clock has yet to come to: it was set back, and nobody
    can tell which of them the daemon has read."""
