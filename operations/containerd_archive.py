"""containerd of upstream's release archives: the steps of ``containerd.installed`` for them."""

from __future__ import annotations

from datetime import date

from packaging.version import Version
from pyinfra import host

from kubenode.facts.archives import ArchivesShape
from kubenode.kubelet.containerd_choice import Asked, Decision, decide
from kubenode.operations import containerd_exchange, package_steps
from kubenode.operations.containerd_sources import (
    Commands,
    Found,
    Wanted,
    package_manager,
    warn,
)
from kubenode.packages import archive, archive_cache, archive_transfer
from kubenode.packages.archive import Archive, Build
from kubenode.packages.package_change import PackageChange
from kubenode.run.pyinfra_internals import is_executing
from kubenode.run.telling import explain, refuse
from kubenode.runtimes import archive_program
from kubenode.runtimes.containerd import packages


def steps(wanted: Wanted, source: Archive, found: Found) -> Commands:
    """The commands after which the containerd of an archive is the one that runs.

    + wanted: what is asked for
    + source: the archive
    + found: what the host has
    """
    archives = found.archives
    if archives is None:
        yield refuse(host, "cannot tell which archives the host has, see the lines above")
        return
    try:
        build = archive.build(source, archives["architecture"])
    except ValueError as error:
        yield refuse(host, f"{error}: nothing was changed")
        return
    problem = archive.unsuitable(build, archives["libc"], archives["libc_version"])
    decision = _decided(wanted, source)
    if problem or decision.refusal:
        yield refuse(host, f"{problem or decision.refusal}: nothing was changed")
        return
    going = _going(found, build)
    if found.build == build.name and _is_linked(archives, build) and not going.removes:
        warn(decision)
        if not found.unspared:
            host.noop(f"containerd {build.version} of an archive is installed: {build.name}")
        package_steps.tell_files(found.unspared)
        yield from package_steps.write(found.unspared)
        return
    refusal = packages.refusal(found.packages, going)
    if refusal is None and build.runc is None:
        refusal = packages.runc_refusal(found.packages, going.removes)
    if refusal:
        yield refuse(host, f"{refusal}: nothing was changed")
        return
    by = package_manager() if going.removes else "apt-get"
    if by is None:
        yield refuse(
            host,
            f"{', '.join(going.removes)} would go for the archive, and there is no known package "
            "manager: nothing was changed",
        )
        return
    program = archive_program.of_archive(
        build,
        found.build,
        found.program.version,
        packages=going if going.removes else None,
        manager=by,
    )
    # a package takes its shim with it
    keeps_shims = not set(going.removes) - {"runc"}
    plan = containerd_exchange.planned(Version(build.version), wanted.restart, keeps_shims)
    warn(decision)
    if plan.refusal or plan.postponed:
        yield from containerd_exchange.exchanged(program, plan)
        return
    for file in build.files:
        explain(host, f"{file.address} comes to the host, sha256 {file.sha256}")
    containerd_exchange.tell(program.explained, plan)
    package_steps.tell_files(found.unspared)
    try:
        yield from archive_transfer.brought(build.files, wanted.fetched_by, is_executing(host))
    except archive_cache.FetchError as error:
        yield refuse(host, f"{error}: nothing was changed")
        return
    yield from containerd_exchange.exchanged(program, plan)
    yield from package_steps.write(found.unspared)


def _decided(wanted: Wanted, source: Archive) -> Decision:
    # a pre-release is taken where it is named, and the archive names it
    version = wanted.version
    if version is None and Version(source.version).is_prerelease:
        version = source.version
    asked = Asked(version, wanted.kubernetes, "archive")
    return decide(asked, [source.version], None, date.today())


def _going(found: Found, build: Build) -> PackageChange:
    """The packages that would be in PATH, or systemd's units, beside the archive's program."""
    names = [
        name
        for name in packages.RELATED
        if name in found.packages and (name != "runc" or build.runc is not None)
    ]
    return PackageChange(removes=tuple(names), now={name: found.packages[name] for name in names})


def _is_linked(archives: ArchivesShape, build: Build) -> bool:
    whole = {each["name"]: each["whole"] for each in archives["builds"] or ()}
    wanted = [
        name for name in archives["links"] if build.runc is not None or not name.endswith("/runc")
    ]
    return (
        whole.get(build.name) is True
        and archives["unit"] is not None
        and all("/current/" in (archives["links"][path] or "") for path in wanted)
    )
