"""The steps of ``containerd.installed``: install containerd, or change the one that is there."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple

from packaging.version import Version
from pyinfra import host, logger
from pyinfra.api import FunctionCommand, StringCommand
from pyinfra.operations import apt

from kubenode.facts.candidates import Candidates, CandidatesShape
from kubenode.facts.containerd import (
    ContainerdFiles,
    ContainerdFilesShape,
    ContainerdPackage,
    ContainerdPackageShape,
)
from kubenode.facts.platform import Platform
from kubenode.kubelet.containerd_choice import Asked, Decision, Present, decide
from kubenode.packages import manager, package_locks
from kubenode.packages.choice import is_series, upstream_of
from kubenode.packages.installation import Installed, Program, installation
from kubenode.run.pyinfra_internals import nested, print_prefix
from kubenode.run.telling import explain, refuse
from kubenode.runtimes import other_runtimes, program_change
from kubenode.runtimes.containerd import packages, proof
from kubenode.runtimes.containerd.releases import pods_survive
from kubenode.runtimes.program_change import Service
from kubenode.runtimes.restart import Restart, postponed
from kubenode.wire import joint_reading

Commands = Generator[StringCommand | FunctionCommand, Any, None]


class Wanted(NamedTuple):
    """What :func:`kubenode.operations.containerd.installed` is asked for; see its arguments."""

    version: str | None
    hold: bool
    source: str
    kubernetes: tuple[int, int] | None
    restart: Restart | None


class _Found(NamedTuple):
    """What a host has."""

    shape: ContainerdPackageShape
    program: Program

    @property
    def packages(self) -> dict[str, str]:
        """Version by name of the packages that have to do with it."""
        return {package["name"]: package["version"] for package in self.shape["packages"]}

    @property
    def is_fresh(self) -> bool:
        """Whether there is no program that works, so that nothing can be lost."""
        package = self.program.package
        return not self.program.binary or (package is not None and not package.configured)


def steps(wanted: Wanted) -> Commands:
    """
    The commands after which the containerd that is wanted is installed, and held.

    + wanted: what is asked for
    """
    found = _read(joint_reading.get_fact(ContainerdPackage))
    if found is not None and found.shape["change"]:
        explain(host, _interrupted(found.shape["change"]))
        yield program_change.settle()
        found = _read(joint_reading.get_fact_now(ContainerdPackage))
    if found is None:
        yield refuse(host, "cannot tell whether containerd is installed, see the lines above")
        return
    if problem := other_runtimes.refusal(found.shape["runtimes"]):
        yield refuse(host, f"{': '.join(problem)}: nothing was changed")
        return
    name = packages.DEFAULT
    lists = None
    if not found.is_fresh:
        if wanted.version is not None and is_series(wanted.version):
            lists = _lists(name)
        decision = _decided(wanted, found, _available(lists, name) or ())
        if decision.version is None and decision.refusal is None:
            yield from _left(wanted, found, decision)
            return
        if found.program.package is None:
            yield refuse(host, _of_nobody(found.program, wanted))
            return
    by = _package_manager()
    if by is None:
        yield refuse(
            host, "no known package manager (apt-get, dnf, zypper): install containerd yourself"
        )
        return
    if found.is_fresh:
        yield from _installed(wanted, found, by, name)
    else:
        yield from _changed(wanted, found, by, name, lists)


def _read(shape: ContainerdPackageShape | None) -> _Found | None:
    if shape is None:
        return None
    package = Installed(**shape["package"]) if shape["package"] else None
    return _Found(
        shape,
        Program(
            shape["binary"],
            shape["version"],
            package,
            shape["dpkg_interrupted"],
            shape["dpkg_at_work"],
        ),
    )


def _interrupted(change: str) -> str:
    return (
        f"a change was interrupted ({change}): it is kept where it came to its end and containerd "
        "serves, else what was before comes back; then the host is read again"
    )


def _of_nobody(program: Program, wanted: Wanted) -> str:
    asked = f"Kubernetes {'.'.join(map(str, wanted.kubernetes))}" if wanted.kubernetes else "this"
    return (
        f"containerd {program.version} at {program.binary} is from no package, so it cannot be "
        f"changed to {wanted.version or f'what {asked} needs'}: remove it first, or do not ask "
        "for another version"
    )


def _package_manager() -> str | None:
    platform = joint_reading.get_fact_now(Platform)
    return platform["package_manager"] if platform else None


def _available(lists: CandidatesShape | None, name: str) -> list[str] | None:
    if lists is None:
        return None
    # two sources may have the same
    return list(dict.fromkeys(each["version"] for each in lists["packages"].get(name, [])))


def _decided(wanted: Wanted, found: _Found, available: Sequence[str] | None) -> Decision:
    present = None
    if not found.is_fresh:
        program = found.program
        present = Present(
            Version(program.version) if program.version else None,
            program.package.version if program.package else None,
        )
    asked = Asked(wanted.version, wanted.kubernetes, wanted.source)
    return decide(asked, available, present, date.today())


def _warn(decision: Decision) -> None:
    for warning in decision.warnings:
        logger.warning(f"{print_prefix(host)}{warning}")


def _left(wanted: Wanted, found: _Found, decision: Decision) -> Commands:
    """What is there stays; it is held where it should be."""
    _warn(decision)
    package = found.program.package
    if package is None or package.held or not wanted.hold:
        host.noop(f"containerd is installed: {found.program}")
        return
    by = _package_manager()
    if by is None:
        yield refuse(host, f"{package.name} cannot be held: no known package manager")
        return
    explain(host, f"hold {package.name}: upgrades leave it alone")
    yield package_locks.patiently(by, manager.hold(by, package.name))


def _installed(wanted: Wanted, found: _Found, by: str, name: str) -> Commands:
    """A host without a containerd that works gets one."""
    to_do = installation(found.program, name, wanted.version, wanted.hold)
    for sentence in to_do.explained(by):
        explain(host, sentence)
    if wanted.kubernetes is not None and wanted.version is None:
        release = ".".join(map(str, wanted.kubernetes))
        explain(host, f"it is the newest that fits Kubernetes {release}, else the host is refused")
    if to_do.finishes_dpkg:
        yield package_locks.patiently(by, manager.finish(by, [name]))
    if to_do.holds and by in manager.ABLE_TO_HOLD:
        yield package_locks.patiently(by, manager.ABLE_TO_HOLD[by])
    is_chosen = wanted.kubernetes is not None or wanted.version is not None
    simulated = manager.simulated(name, is_pinned=False)
    if by == "apt-get":
        yield package_locks.with_lists_fetched(simulated)
    decision = _decided_by_lists(wanted, found, by, name)
    if is_chosen and decision.version is None:
        yield refuse(host, f"{decision.refusal}: nothing was changed")
        return
    _warn(decision)
    package = found.program.package
    yield from _install(
        by,
        name,
        decision.version if is_chosen else None,
        is_held=package is not None and package.held,
        unpack_again=to_do.finishes_dpkg,
    )
    if to_do.holds:
        yield package_locks.patiently(by, manager.hold(by, to_do.holds))


def _decided_by_lists(wanted: Wanted, found: _Found, by: str, name: str) -> Decision:
    """What is decided once the lists of packages have been fetched."""
    if by != "apt-get":
        # dnf and zypper fetch their lists while they install
        if wanted.version is not None:
            return Decision(wanted.version)
        return _decided(wanted, found, None)
    return _decided(wanted, found, _available(_lists(name), name))


def _lists(name: str) -> CandidatesShape | None:
    return joint_reading.get_fact_now(Candidates, packages=[name])


def _install(
    by: str, name: str, version: str | None, is_held: bool = False, unpack_again: bool = False
) -> Commands:
    wanted = manager.pinned(by, name, version)
    if by != "apt-get":
        change = manager.change_held(by, name, wanted) if is_held else None
        yield package_locks.patiently(by, change or manager.install(by, wanted))
        return
    if unpack_again:
        yield package_locks.patiently(by, manager.UNPACK_AGAIN)
    options = manager.apt_options(version is not None, package_locks.WAIT_SECONDS)
    commands: Iterable[Any] | None = nested(
        apt.packages,
        packages=[wanted],
        no_recommends=True,
        allow_downgrades=version is not None,
        extra_install_args=options,
    )
    if commands is None:
        commands = [manager.install(by, wanted, options)]
    for command in commands:
        yield package_locks.patiently(by, str(command))


def _changed(
    wanted: Wanted, found: _Found, by: str, name: str, lists: CandidatesShape | None
) -> Commands:
    """The containerd that is there becomes another one, or stays what it is."""
    if by != "apt-get":
        yield from _installed(wanted, found, by, name)
        return
    known = _decided(wanted, found, _available(lists or _lists(name), name))
    explain(host, _beforehand(wanted, found, known))
    if found.program.dpkg_interrupted:
        explain(host, "dpkg was interrupted: it finishes what it began (dpkg --configure -a)")
        yield package_locks.patiently(by, manager.finish(by, [name]))
    yield package_locks.with_lists_fetched(manager.simulated(name, is_pinned=False))
    decision = _decided_by_lists(wanted, found, by, name)
    if decision.version is None:
        yield refuse(host, f"{decision.refusal}: nothing was changed")
        return
    _warn(decision)
    yield from _exchanged(wanted, found, by, name, decision.version)


def _beforehand(wanted: Wanted, found: _Found, known: Decision) -> str:
    """What is going to be changed, as far as it is known before the lists are fetched."""
    of = f"the newest {wanted.version}" if wanted.version else "the newest that fits"
    to = known.version or of
    return (
        f"fetch the lists of packages, then containerd {found.program.version} -> {to}: the old "
        "one comes back where the new one does not serve"
    )


def _exchanged(wanted: Wanted, found: _Found, by: str, name: str, version: str) -> Commands:
    """One command on the host: proven, or undone."""
    change = packages.exchange(found.packages, name, version, wanted.hold)
    if problem := packages.refusal(found.packages, change):
        yield refuse(host, f"{problem}: nothing was changed")
        return
    now = joint_reading.get_fact_now(ContainerdFiles)
    if now is None:
        yield refuse(host, "cannot tell what containerd does, see the lines above")
        return
    gate = _gate(wanted, now, upstream_of(version))
    if gate.refusal:
        yield refuse(host, f"containerd {found.program.version} -> {version}: {gate.refusal}")
        return
    if gate.postponed:
        what = f"containerd {found.program.version} -> {version} waits: {gate.postponed}"
        logger.warning(f"{print_prefix(host)}{what}")
        return
    daemon = now["containerd"]
    for phrase in change.explained:
        explain(host, phrase)
    program = program_change.of_packages(f"{name} {version}", change, by)
    yield program_change.change(
        program,
        {},
        daemon["config"]["path"],
        proof.daemon(str(daemon["installed"]["binary"]), daemon["socket"]),
        _service(now),
    )


class _Gate(NamedTuple):
    """Why a restart may not be, or has to wait."""

    refusal: str | None = None
    postponed: str | None = None


def _gate(wanted: Wanted, now: ContainerdFilesShape, new: Version | None) -> _Gate:
    daemon = now["containerd"]
    if not _service(now).is_active:
        return _Gate()
    counts = daemon["pods"]
    pods = None if counts is None else counts["systemd"] + counts["cgroupfs"]
    old = daemon["installed"]["version"]
    survive = new is not None and old is not None and pods_survive(Version(old), new)
    if not survive and pods != 0:
        return _Gate(
            refusal=postponed("if-idle", pods, pods_survive=False)
            or "containers that the newer one has started would be lost"
        )
    return _Gate(postponed=postponed(wanted.restart, pods, survive))


def _service(now: ContainerdFilesShape) -> Service:
    unit = now["containerd"]["unit"]
    return Service(
        is_enabled=unit is not None and unit["enabled"] == "enabled",
        is_active=unit is not None and unit["active"] in ("active", "activating", "reloading"),
        serves=now["containerd"]["cri"] == "serving",
    )
