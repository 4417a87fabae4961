"""Take containerd away from a host: ``containerd.absent``."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, NamedTuple

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, OperationValueError, StringCommand, operation

from kubenode.facts import left_alone
from kubenode.facts.archives import Archives, ArchivesShape
from kubenode.facts.containerd import (
    ContainerdFiles,
    ContainerdFilesShape,
    ContainerdPackage,
    ContainerdPackageShape,
)
from kubenode.facts.containerd_left import ContainerdLeft, ContainerdLeftShape
from kubenode.facts.crictl import Crictl, CrictlFileShape
from kubenode.facts.platform import Platform
from kubenode.facts.repositories import Repositories, RepositoriesShape
from kubenode.files import whole_file
from kubenode.files.exact_text import bytes_of
from kubenode.files.whole_file import Change
from kubenode.operations import interrupted_change, package_hold
from kubenode.operations.containerd_host import contents
from kubenode.packages import (
    guarded_removal,
    manager,
    package_locks,
    repository_change,
    repository_files,
)
from kubenode.packages.left_alone import absent as no_longer_left_alone
from kubenode.packages.source import Repository
from kubenode.run.pyinfra_internals import print_prefix
from kubenode.run.telling import explain, refuse
from kubenode.runtimes import crictl
from kubenode.runtimes.config_swap import undo
from kubenode.runtimes.containerd import hosts_toml
from kubenode.runtimes.containerd.config import parse
from kubenode.runtimes.containerd.removal import (
    Present,
    Removal,
    removal,
    stopped,
    taken_away,
)
from kubenode.runtimes.containerd.source import Source, source_of
from kubenode.runtimes.crictl import CRICTL_CONFIG
from kubenode.runtimes.edit import ConfigError
from kubenode.runtimes.runtime import CONTAINERD, path_of
from kubenode.settings import DEFAULTS
from kubenode.wire import joint_reading
from kubenode.wire.bounded import INSTALL_SECONDS, bounded
from kubenode.wire.probe_fact import ProbeFact

Commands = Generator[StringCommand | FunctionCommand, Any, None]

_CANNOT_TELL = "cannot tell what the host has of containerd, see the lines above"
(_UNIT,) = CONTAINERD.units


@operation()
@bounded(INSTALL_SECONDS)
def absent(
    data: bool = False,
    end_containers: bool = False,
    source: Source | Mapping[str, Any] = DEFAULTS.containerd_source,
) -> Commands:
    """
    Take containerd away: its package or archive of whatever source, and what kubenode wrote for it.

    + data: remove all images and containers too. Otherwise an installation afterwards goes on with
      them
    + end_containers: end the containers that run, of every namespace, before that. Otherwise a host
      on which one runs is refused
    + source: the source that it is from, as :func:`kubenode.operations.containerd.installed` takes
      it: the files of a repository go too. Other packages of it stay, and get no upgrades

    What goes: the packages ``containerd`` or ``containerd.io``, held or not, with what ``dnf.conf``
    excludes of them, and ``runc`` where apt has installed it for them alone; the releases of
    archives, their links and unit; the drop-ins and proxies of
    :func:`kubenode.operations.containerd.service`; what unattended-upgrades and needrestart were
    told of it; ``hosts.toml`` files and certificates of
    :func:`kubenode.operations.containerd.registry_hosts`, with what was kept of them; containerd's
    sockets; ``/etc/crictl.yaml`` where it points at containerd and says nothing else, and otherwise
    its two lines.

    What stays is said: ``/etc/containerd/config.toml``, which others write to as well, what was
    kept of it, and all files of others. So an installation afterwards finds its configuration.
    CNI plugins stay, and so do the network namespaces of ended pods, until the host boots.

    A host is refused, unchanged, when Docker Engine is installed, which needs containerd; when
    another package depends on it; when it is from nobody that kubenode knows of; and, with *data*,
    when something is mounted in containerd's data. A change that was interrupted is
    ended first, and a removal that was interrupted is gone on with.

    **Example:**

    .. code:: python

        containerd.absent(
            name="This host is no node any more",
            data=True,
        )
    """
    try:
        origin = source_of(source)
    except ValueError as error:
        raise OperationValueError(f"source {source!r}: {error}") from error
    found = _read(origin)
    if (yield from interrupted_change.ended(found.package["change"] if found else None)):
        found = _read(origin)
    if found is not None and found.files["unproven"]:
        explain(host, "a change of the configuration was interrupted: what was before comes back")
        yield undo(found.files["containerd"]["config"]["path"])
        found = _read(origin)
    left = None if found is None else found.left
    if found is None or left is None or left["own"] is None or left["tasks"] is None:
        yield refuse(host, _CANNOT_TELL)
        return
    if data and left["data"] is None:
        yield refuse(host, f"cannot read {found.root}: nothing was removed")
        return
    yield from _removed(found, left, data, end_containers)


class _Found(NamedTuple):
    """What a host has."""

    files: ContainerdFilesShape
    package: ContainerdPackageShape
    archives: ArchivesShape
    crictl: CrictlFileShape
    repository: tuple[str, RepositoriesShape] | None
    root: str
    left: ContainerdLeftShape | None


def _read(source: Source) -> _Found | None:
    facts: list[tuple[type[ProbeFact[Any]], dict[str, Any]]] = [
        (ContainerdFiles, {}),
        (ContainerdPackage, {}),
        (Archives, {}),
        (Crictl, {}),
    ]
    name = source.name if isinstance(source, Repository) else source
    if isinstance(name, str) and name != "distribution":
        facts.append((Repositories, {"repository": name}))
    read = joint_reading.get_each(facts)
    if any(each is None for each in read):
        return None
    files, package, archives, crictl_file, *more = read
    root = _root(files)
    names = [each["name"] for each in package["packages"] if each["name"] in _OWN_PACKAGES]
    left = joint_reading.get_fact_now(
        ContainerdLeft, directories=_directories(files), root=root, packages=names
    )
    repository = (str(name), more[0]) if more else None
    return _Found(files, package, archives, crictl_file, repository, root, left)


_OWN_PACKAGES = ("containerd", "containerd.io")


def _root(files: ContainerdFilesShape) -> str:
    """Where images and containers are; of a daemon that is gone by its file alone."""
    if path := files["containerd"]["data_root"]["path"]:
        return path
    main = files["containerd"]["config"]["path"]
    try:
        stated = parse(contents(files).get(main, b""), main).settings.root
    except ConfigError:
        stated = None
    return stated or CONTAINERD.data_root


def _directories(files: ContainerdFilesShape) -> list[str]:
    stated = (files["containerd"]["registry_config_path"] or "").split(":")
    named = [path for path in stated if path.startswith("/")]
    return list(dict.fromkeys([*named, hosts_toml.DEFAULT_DIRECTORY]))


def _present(found: _Found, left: ContainerdLeftShape) -> Present:
    unit = found.files["containerd"]["unit"]
    archives = found.archives
    links = [path for path in archives["links"].values() if path and "/current/" in path]
    return Present(
        found.package["binary"],
        {each["name"]: each["version"] for each in found.package["packages"]},
        archives["current"],
        bool(archives["builds"] or archives["current"] or links or archives["unit"] == "kubenode"),
        left["own"] or (),
        left["kept"],
        [f"{task['namespace']} {task['id']}" for task in left["tasks"] or ()],
        found.root,
        left["data"] or (),
        left["mounts"],
        left["sockets"],
        left["needed_by"] or (),
        left["runc_is_alone"],
        unit is not None and unit["active"] in ("active", "activating", "reloading"),
    )


def _removed(
    found: _Found, left: ContainerdLeftShape, data: bool, end_containers: bool
) -> Commands:
    now = _present(found, left)
    plan = removal(now, data, end_containers)
    platform = joint_reading.get_fact_now(Platform) if plan.packages else None
    by = platform["package_manager"] if platform else None
    if plan.packages and by is None:
        yield refuse(host, "no known package manager (apt-get, dnf, zypper): nothing was removed")
        return
    if by == "apt-get" and left["needed_by"] is None:
        yield refuse(host, "dpkg does not say what needs containerd: nothing was removed")
        return
    if plan.blocked:
        yield refuse(host, plan.blocked)
        return
    changes, warnings = _changes(found)
    if isinstance(changes, str):
        yield refuse(host, f"{changes}: nothing was removed")
        return
    excludes, why = _excludes(plan, by)
    stays = f"; stays: {'; '.join(plan.stays)}" if plan.stays else ""
    if plan.is_empty and not changes:
        host.noop(f"there is no containerd{stays}")
        return
    for warning in (*warnings, *_warnings(found), *why):
        logger.warning(f"{print_prefix(host)}{warning}")
    for sentence in plan.explained:
        explain(host, sentence)
    for change in (*excludes, *changes):
        verb = "remove" if change.new is None else "change"
        explain(host, f"{verb} {change.path}, what was there stays beside it")
    if plan.stays:
        explain(host, f"stays: {'; '.join(plan.stays)}")
    if plan.stops:
        yield stopped(plan, found.files["containerd"]["socket"], end_containers)
    # a run that is killed in between finds the package, and goes on; afterwards it would not look
    if excludes:
        yield whole_file.change(excludes)
    if plan.packages and by is not None:
        yield from _without_packages(found, plan, by)
    if changes:
        yield whole_file.change(changes)
    yield taken_away(plan, found.root, data)


def _excludes(plan: Removal, by: str | None) -> tuple[list[Change], list[str]]:
    """What becomes of what keeps dnf from the packages, and why it stays."""
    if by != "dnf":
        return [], []
    try:
        change = package_hold.no_longer_excluded(plan.packages)
    except ValueError as error:
        return [], [f"dnf may not install containerd again: {error}"]
    return ([] if change is None else [change]), []


def _without_packages(found: _Found, plan: Removal, by: str) -> Commands:
    if found.package["dpkg_interrupted"]:
        yield package_locks.patiently(by, manager.finish(by, plan.packages))
    if by == "apt-get":
        unit = found.files["containerd"]["unit"]
        is_masked = unit is not None and unit["load"] == "masked"
        yield guarded_removal.remove(plan.packages, "" if is_masked else _UNIT)
        return
    held = [each["name"] for each in found.package["packages"] if each["held"]]
    gone = [name for name in plan.packages if name in held]
    main = found.files["containerd"]["config"]["path"]
    command = manager.remove(by, plan.packages, gone, main)
    yield package_locks.patiently(by, f"\n{command}")


def _changes(found: _Found) -> tuple[list[Change] | str, Sequence[str]]:
    """What becomes of files that are not containerd's alone, or why it cannot be told."""
    told = left_alone.contents(found.package["left_alone"])
    changes = no_longer_left_alone(CONTAINERD.name, told)
    content = found.crictl["content"]
    if content is not None and _points_at(found, found.crictl["runtime_endpoint"]):
        old = bytes_of(content)
        try:
            new = crictl.pointed_nowhere(old)
        except crictl.CrictlConfigError as error:
            return f"{CRICTL_CONFIG}: {error}", ()
        changes.append(Change(CRICTL_CONFIG, old, new))
    if found.repository is None:
        return changes, ()
    name, sources = found.repository
    by = sources["package_manager"]
    if by is None:
        return changes, ()
    path = repository_files.paths(name, by).source
    if not sources["files"].get(path, "").startswith(repository_files.HEAD):
        return changes, ()
    there = repository_change.Host(
        by,
        sources["architecture"],
        sources["os_release"],
        sources["files"],
        sources["unreadable"],
        sources["lists"],
    )
    gone = repository_change.absent(name, there)
    if gone.blocked:
        return gone.blocked, ()
    return [*changes, *gone.files], gone.warnings


def _points_at(found: _Found, endpoint: str | None) -> bool:
    return endpoint is not None and path_of(endpoint) == path_of(
        found.files["containerd"]["socket"]
    )


def _warnings(found: _Found) -> list[str]:
    if _points_at(found, found.package["runtimes"]["kubelet_endpoint"]):
        return ["kubelet is told to use containerd, and has no runtime afterwards: stop it"]
    return []
