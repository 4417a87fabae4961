"""The steps of ``docker.installed``: the packages of Docker Engine, and cri-dockerd."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

from pyinfra import host, logger
from pyinfra.api import FileUploadCommand, FunctionCommand, StringCommand

from kubenode.facts.docker import LICENCE, Docker, DockerPackage, DockerPackageShape
from kubenode.facts.platform import Platform
from kubenode.files import host_lock, whole_file
from kubenode.operations import docker_exchange, interrupted_change, other_runtime, package_steps
from kubenode.operations import packages as package_operations
from kubenode.operations.docker_host import service_of
from kubenode.packages import archive_cache, archive_transfer
from kubenode.packages.archive import Archive
from kubenode.packages.archive_transfer import FetchedBy
from kubenode.packages.choice import satisfies
from kubenode.packages.source import NotBuiltFor, Repository
from kubenode.run.pyinfra_internals import is_executing, print_prefix
from kubenode.run.telling import explain, refuse
from kubenode.runtimes.docker import cri_archive, packages, releases
from kubenode.runtimes.docker.source import (
    CRI_DOCKERD,
    MCR_CHANNEL,
    CriDockerdSource,
    EngineSource,
    cri_dockerd_of,
    engine_source,
    mcr_repository,
)
from kubenode.runtimes.restart import Restart, check_restart
from kubenode.runtimes.runtime import DOCKER
from kubenode.settings import minor_release
from kubenode.wire import joint_reading

Commands = Generator[StringCommand | FunctionCommand | FileUploadCommand, Any, None]

_CANNOT_TELL = "cannot tell whether Docker Engine is installed, see the lines above"
_MOST_BYTES = 64 * 1024
_FORWARD = "sysctl -q -w net.ipv4.ip_forward=1"


class Wanted(NamedTuple):
    """What :func:`kubenode.operations.docker.installed` is asked for; see its arguments."""

    source: EngineSource
    version: str | None
    hold: bool
    cri_dockerd: CriDockerdSource
    kubernetes: tuple[int, int] | None
    restart: Restart | None
    fetched_by: FetchedBy
    channel: str
    licence: bytes | None
    replace_runtime: bool = False


def wanted(
    source: object,
    version: str | None,
    hold: bool,
    cri_dockerd: object,
    kubernetes_version: str | None,
    restart: Restart | None,
    fetched_by: FetchedBy,
    channel: str = MCR_CHANNEL,
    licence: str | None = None,
    replace_runtime: bool = False,
) -> Wanted:
    """What is asked for, checked; ValueError where it is wrong."""
    check_restart(restart)
    if fetched_by not in ("host", "control"):
        raise ValueError(f"fetched_by is host or control, not {fetched_by!r}")
    try:
        engine = engine_source(source)
    except ValueError as error:
        raise ValueError(f"source {source!r}: {error}") from error
    try:
        own = cri_dockerd_of(cri_dockerd)
    except ValueError as error:
        raise ValueError(f"cri_dockerd: {error}") from error
    release = None if kubernetes_version is None else minor_release(kubernetes_version)
    return Wanted(
        engine,
        version,
        hold,
        own,
        release,
        restart,
        fetched_by,
        channel,
        _read(licence),
        replace_runtime,
    )


def _read(path: str | None) -> bytes | None:
    """A licence's content; ValueError where it cannot be read."""
    if path is None:
        return None
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"mcr_licence {path!r}: {error.strerror}") from None
    if not 0 < len(content) <= _MOST_BYTES:
        raise ValueError(f"mcr_licence {path!r}: {len(content)} bytes are no licence")
    return content


def steps(wanted: Wanted) -> Commands:
    """
    The commands after which the engine and cri-dockerd that are wanted are installed.

    + wanted: what is asked for
    """
    now = joint_reading.get_fact(DockerPackage)
    if (yield from interrupted_change.ended(now["change"] if now else None)):
        now = joint_reading.get_fact_now(DockerPackage)
    if now is None:
        yield refuse(host, _CANNOT_TELL)
        return
    problem = (
        other_runtime.problem(now["runtimes"], DOCKER, wanted.replace_runtime)
        or _no_cri_dockerd(now, wanted)
        or _misfit(now, wanted, now["version"])
    )
    if problem:
        yield refuse(host, problem)
        return
    try:
        engine = _engine_needs(now, wanted)
    except NotBuiltFor as error:
        yield refuse(host, f"{error}; nothing was changed")
        return
    needs_cri_dockerd = _cri_dockerd_needs(now, wanted)
    if (engine or needs_cri_dockerd) and (problem := package_steps.not_for_packages()):
        yield refuse(host, problem)
        return
    licence = _licence(now, wanted)
    if isinstance(licence, str):
        yield refuse(host, licence)
        return
    # pyinfra, while it prepares, goes no further than the first command
    if needs_cri_dockerd:
        _explain_cri_dockerd(now, wanted)
    if licence is not None:
        explain(host, f"{LICENCE} becomes the one that is wanted, for root alone")
    for misfit in releases.misfits(_cri_version(now, wanted), now["version"], wanted.kubernetes):
        logger.warning(f"{print_prefix(host)}{misfit.what}")
    if engine:
        yield from _engine(now, wanted)
    if needs_cri_dockerd:
        if engine and is_executing(host):
            after = joint_reading.get_fact_now(DockerPackage)
            problem = _CANNOT_TELL if after is None else _misfit(after, wanted, after["version"])
            if problem:
                yield refuse(host, problem)
                return
        yield from _cri_dockerd(now, wanted)
    if licence is not None:
        yield whole_file.change([licence], after=f"chmod 0400 {LICENCE}")
    if not engine and not needs_cri_dockerd and licence is None:
        host.noop(
            f"Docker Engine {now['version']} and cri-dockerd {now['cri_dockerd_version']} are "
            "installed"
        )


def _no_cri_dockerd(now: DockerPackageShape, wanted: Wanted) -> str | None:
    if wanted.cri_dockerd is not None:
        return None
    if now["cri_dockerd"] is None:
        return (
            "cri-dockerd is not installed, which answers kubelet for Docker Engine, and nothing "
            "says where it is from: set kubenode_cri_dockerd_source to a release archive or a "
            "repository; nothing was changed"
        )
    return None


def _cri_version(now: DockerPackageShape, wanted: Wanted) -> str | None:
    if isinstance(wanted.cri_dockerd, Archive):
        return wanted.cri_dockerd.version
    return now["cri_dockerd_version"]


def _misfit(now: DockerPackageShape, wanted: Wanted, engine: str | None) -> str | None:
    """Why this cri-dockerd cannot talk to that engine; None when it can, or nobody knows."""
    found = releases.misfits(_cri_version(now, wanted), engine, None)
    breaking = [misfit.what for misfit in found if misfit.breaks]
    return f"{'; '.join(breaking)}: take another cri-dockerd" if breaking else None


def _licence(now: DockerPackageShape, wanted: Wanted) -> whole_file.Change | str | None:
    """What has to become of MCR's licence; text says why nothing may."""
    if wanted.licence is None:
        return None
    there = now["licence"]
    if there is None:
        return f"{LICENCE} cannot be read: nothing was changed"
    if there == whole_file.sum_of(wanted.licence) and now["licence_is_private"]:
        return None
    return whole_file.Change(LICENCE, None, wanted.licence, secret=True, was=there)


# ---- Docker Engine


def _names(now: DockerPackageShape, wanted: Wanted) -> tuple[str, ...]:
    """The packages that are wanted, the engine first."""
    if isinstance(wanted.source, Repository):
        return wanted.source.packages or packages.ENGINES["docker"]
    if wanted.source == "distribution" and now["package"] is not None:
        there = [package["name"] for package in now["packages"]]
        if chosen := packages.chosen(now["package"]["name"], there, now["os_release"]):
            return chosen
    return packages.wanted(wanted.source, now["os_release"])


def _engine_needs(now: DockerPackageShape, wanted: Wanted) -> bool:
    """Whether anything has to change for the engine's packages."""
    if now["binary"] is not None and now["package"] is None and wanted.source == "distribution":
        # an archive, or a binary by hand
        return False
    there = {package["name"]: package for package in now["packages"]}
    names = _names(now, wanted)
    own = there.get(names[0])
    return (
        now["dpkg_interrupted"]
        or any(name not in there or not there[name]["configured"] for name in names)
        or (wanted.hold and any(not there[name]["held"] for name in names))
        or (
            wanted.version is not None
            and not satisfies(str(own and own["version"]), wanted.version)
        )
    )


def _repository(now: DockerPackageShape, wanted: Wanted) -> Any:
    if wanted.source == "mcr":
        return mcr_repository(now["os_release"], wanted.channel)
    return None if wanted.source == "distribution" else wanted.source


def _engine(now: DockerPackageShape, wanted: Wanted) -> Commands:
    names = _names(now, wanted)
    there = [package["name"] for package in now["packages"]]
    try:
        repository = _repository(now, wanted)
    except NotBuiltFor as error:
        yield refuse(host, f"{error}: nothing was changed")
        return
    by = _package_manager()
    is_other = _is_other(now, wanted, names)
    may_run = now["engine_active"] is not False
    is_exchanged = is_other and may_run and now["package"] is not None
    # RPMs come in one transaction, so that what conflicts with them goes in the same
    is_exchanged |= is_other and by in ("dnf", "zypper")
    problem = packages.conflict(names, there) if is_other else None
    if is_exchanged and may_run:
        problem = problem or docker_exchange.gate(wanted.restart)
    if problem:
        yield refuse(host, f"{problem}; nothing was changed")
        return
    forwards = now["ip_forward"] is False and not now["engine_active"]
    if forwards:
        explain(host, "net.ipv4.ip_forward: 0 -> 1 before Docker Engine starts, as it would then "
                "drop what is forwarded for others")  # fmt: skip
    if is_exchanged and by is not None:
        asked = docker_exchange.Wanted(
            names, repository, wanted.version, wanted.hold, wanted.restart, by
        )
        yield from docker_exchange.steps(now, asked)
        if forwards:
            # RPMs do not start it
            yield host_lock.under_lock(_FORWARD)
        return
    if forwards:
        yield host_lock.under_lock(_FORWARD)
    may_go = packages.replaced(names, there)
    if wanted.version is None:
        yield from package_operations.installing(names, repository, None, wanted.hold, may_go)
        return
    # containerd.io has versions of its own
    own = tuple(name for name in names if not name.startswith("containerd"))
    yield from package_operations.installing(own, repository, wanted.version, wanted.hold, may_go)
    if rest := tuple(name for name in names if name not in own):
        yield from package_operations.installing(rest, None, None, wanted.hold, may_go)


def _is_other(now: DockerPackageShape, wanted: Wanted, names: tuple[str, ...]) -> bool:
    """Whether the engine's package becomes another one, and not only held or added to."""
    own = now["package"]
    if own is None or own["name"] != names[0]:
        return True
    return wanted.version is not None and not satisfies(own["version"], wanted.version)


def _package_manager() -> str | None:
    platform = joint_reading.get_fact_now(Platform)
    return platform["package_manager"] if platform else None


# ---- cri-dockerd


def _cri_dockerd_needs(now: DockerPackageShape, wanted: Wanted) -> bool:
    source = wanted.cri_dockerd
    if source is None:
        return False
    if isinstance(source, Archive):
        return now["cri_build"] is None or now["cri_build"] != _build(now, source)
    own = [package for package in now["packages"] if package["name"] == CRI_DOCKERD]
    return not own or not own[0]["configured"] or (wanted.hold and not own[0]["held"])


def _build(now: DockerPackageShape, source: Archive) -> str | None:
    try:
        file = source.file(CRI_DOCKERD, now["architecture"])
    except ValueError:
        return None
    return None if file is None else cri_archive.build_of(source.version, file)


def _explain_cri_dockerd(now: DockerPackageShape, wanted: Wanted) -> None:
    source = wanted.cri_dockerd
    if not isinstance(source, Archive):
        # of packages that is said with their lists
        return
    was = now["cri_dockerd_version"] or "(not installed)"
    if file := source.files[CRI_DOCKERD].get(now["architecture"] or ""):
        explain(host, f"{file.address} comes to the host, sha256 {file.sha256}")
    explain(host, f"cri-dockerd {was} -> {source.version} ({cri_archive.LINK}), with its units")


def _cri_dockerd(now: DockerPackageShape, wanted: Wanted) -> Commands:
    source = wanted.cri_dockerd
    if isinstance(source, Repository):
        yield from package_operations.installing(
            source.packages or (CRI_DOCKERD,), source, None, wanted.hold, ()
        )
    elif isinstance(source, Archive):
        yield from _from_archive(now, wanted, source)


def _from_archive(now: DockerPackageShape, wanted: Wanted, source: Archive) -> Commands:
    try:
        file = source.file(CRI_DOCKERD, now["architecture"])
    except ValueError as error:
        yield refuse(host, f"{error}: nothing was changed")
        return
    if file is None:
        yield refuse(host, f"the archive {source.version} has no cri-dockerd: nothing was changed")
        return
    try:
        yield from archive_transfer.brought([file], wanted.fetched_by, is_executing(host))
    except archive_cache.FetchError as error:
        yield refuse(host, f"{error}: nothing was changed")
        return
    daemon = joint_reading.get_fact_now(Docker)
    if daemon is None:
        yield refuse(host, _CANNOT_TELL)
        return
    service = service_of(daemon["cri_dockerd"]["unit"], daemon)
    yield cri_archive.change(source.version, file, now["cri_dockerd_version"], service)
