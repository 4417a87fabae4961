"""Where containerd pulls images from: ``containerd.registry_hosts``."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping
from typing import Any

from packaging.version import Version
from pyinfra import host, logger
from pyinfra.api import FunctionCommand, OperationValueError, StringCommand, operation

from kubenode.facts.containerd import ContainerdFiles, ContainerdFilesShape
from kubenode.files import whole_file
from kubenode.operations import other_runtime
from kubenode.operations.containerd_host import (
    CANNOT_TELL,
    COMES_FIRST,
    contents,
    daemon_of,
    state,
)
from kubenode.run import asked
from kubenode.run.pyinfra_internals import is_executing, print_prefix
from kubenode.run.secret_arguments import secret_arguments
from kubenode.run.telling import explain, explain_file, later, refuse
from kubenode.runtimes.config_swap import swap
from kubenode.runtimes.containerd import hosts_toml
from kubenode.runtimes.containerd.all_files import edits_by
from kubenode.runtimes.containerd.editing import with_registry_directory
from kubenode.runtimes.containerd.hosts_toml import RegistryFiles
from kubenode.runtimes.containerd.registry_plan import (
    FileNow,
    RegistriesNow,
    RegistryPlan,
    registry_plan,
)
from kubenode.runtimes.edit import ConfigError, Edit
from kubenode.runtimes.restart import Restart, check_restart, postponed
from kubenode.runtimes.runtime import CONTAINERD
from kubenode.settings import DEFAULTS
from kubenode.wire import joint_reading
from kubenode.wire.bounded import RESTART_SECONDS, bounded

Commands = Generator[StringCommand | FunctionCommand, Any, None]


@secret_arguments("containerd.registry_hosts")
@operation()
@bounded(RESTART_SECONDS)
def registry_hosts(
    registries: Mapping[str, Mapping[str, Any] | None],
    restart: Restart | None = DEFAULTS.restart,
    replace_runtime: bool = DEFAULTS.replace_runtime,
) -> Commands:
    """
    Say where containerd pulls a registry's images from: mirrors, certificates, headers. Each
    registry gets its ``hosts.toml`` in the directory that containerd's ``config_path`` names.

    + registries: by the registry's name in images (``docker.io``, ``registry.example:5000``), or
      ``_default`` for all that have none, the keys of hosts.toml: ``server``, ``host`` (a dict by
      URL, in the order in which they are tried), and of each of them ``capabilities`` (``pull``,
      ``resolve``, ``push``, ``referrers``), ``ca``, ``client``, ``skip_verify``, ``header``,
      ``override_path``, ``dial_timeout``. None removes a registry's directory; registries that are
      not named stay as they are
    + restart: when containerd may be restarted where it has to be told of the directory: ``now``,
      ``if-idle`` (no pod runs) or ``never``; None: ``now``, as pods survive it. A restart that has
      to wait is a warning
    + replace_runtime: do it beside another runtime that is in use, on a node without pods;
      :func:`kubenode.operations.runtime.replaced` changes over. False refuses such a host

    ``ca`` and ``client`` are paths on the host, or PEM text, which is put beside hosts.toml. A
    private key of its own is ``"client": [[certificate, key]]``.

    containerd only logs a file that it cannot use, and pulls without a mirror; of a key that it
    does not know it says nothing. So all is checked here, by the rules of the host's release: what
    is wrong fails that host, before anything is written.

    Passwords belong into ``header`` (``{"Authorization": "Basic ..."}``). All files are written for
    root alone (mode 0600), and so is what they replace, which stays beside them, see
    :mod:`kubenode.files.whole_file`. No value of a header and no key is printed, also with
    ``--diff`` and ``-vvv``, or is an argument of a process; what is in a file on the host is
    compared by its sum. Do not write secrets into ``--data``, which is an argument of pyinfra.

    containerd reads hosts.toml for each pull, so nothing is restarted. Only where no
    ``config_path`` is set yet it is set to ``/etc/containerd/certs.d``, as
    :func:`kubenode.operations.containerd.configured` sets it, with its proof. A host with
    ``registry.mirrors``, with which CRI does not start then, is refused.

    Of ``host:port`` containerd looks for ``host_port_`` first, then for ``host:port``: the one that
    exists is used. A removed registry's directory stays as ``NAME.kubenode-backup``, which
    containerd does not look at.

    Source: containerd, docs/hosts.md and core/remotes/docker/config/hosts.go.

    **Example:**

    .. code:: python

        containerd.registry_hosts(
            name="Docker Hub comes from our mirror",
            registries={
                "docker.io": {
                    "server": "https://registry-1.docker.io",
                    "host": {
                        "https://mirror.example:5000": {
                            "capabilities": ["pull", "resolve"],
                            "ca": "/etc/ssl/certs/our-ca.pem",
                        },
                    },
                },
            },
        )
    """
    try:
        named = {hosts_toml.check_registry(name): value for name, value in registries.items()}
        # the rules that hold for every release: a mistake ends the run before any host is changed
        sums = {name: _sum(_files(name, value, None)) for name, value in named.items()}
    except (AttributeError, TypeError):
        raise OperationValueError("registries is a dict by the registry's name") from None
        check_restart(restart)
    except ValueError as error:
        raise OperationValueError(str(error)) from None
    for other in asked.by_others(host, "containerd.registry_hosts", sums):
        for name in sums.keys() & other.keys():
            if sums[name] != other[name]:
                problem = (
                    f"containerd.registry_hosts is called twice in this run with different hosts "
                    f"for {name}: each would undo the other, say the same in both or remove one"
                )
                yield refuse(host, asked.contradiction(host, problem))
                return
    yield from _registry_hosts(named, restart, replace_runtime)


def _files(
    registry: str, settings: Mapping[str, Any] | None, version: Version | None
) -> RegistryFiles | None:
    try:
        return None if settings is None else hosts_toml.files_of(settings, version)
    except ValueError as error:
        raise ValueError(f"registry {registry!r}: {error}") from None


def _sum(files: RegistryFiles | None) -> str:
    return hashlib.sha256(repr(files and files.contents).encode()).hexdigest()


def _registry_hosts(
    named: Mapping[str, Mapping[str, Any] | None],
    restart: Restart | None,
    replace_runtime: bool,
) -> Commands:
    now = joint_reading.get_fact(ContainerdFiles)
    if now is None:
        yield refuse(host, CANNOT_TELL)
        return
    if problem := other_runtime.problem(now["runtimes"], CONTAINERD, replace_runtime):
        yield refuse(host, problem)
        return
    daemon = now["containerd"]
    if not daemon["installed"]["binary"]:
        if is_executing(host):
            yield refuse(host, COMES_FIRST)
        else:
            yield later(host, "registries will be configured once containerd is installed")
        return
    version = Version(daemon["installed"]["version"]) if daemon["installed"]["version"] else None
    if problem := _not_known(now, version):
        yield refuse(host, f"{problem}: nothing was changed")
        return
    try:
        wanted = {name: _files(name, settings, version) for name, settings in named.items()}
    except ValueError as error:
        yield refuse(host, f"{error}: nothing was changed")
        return
    to_do = registry_plan(wanted, _now(now), version)
    edits: Mapping[str, Edit] = {}
    there = state(daemon)
    waits = postponed(restart, there.pods_count, there.pods_survive) if _runs(now) else None
    restarts = _runs(now) and waits is None
    if to_do.states_directory and not to_do.blocked and version is not None:
        edits, problem = _edits(now, version, to_do.directory, restarts)
        if problem:
            yield refuse(host, f"{problem}: nothing was changed")
            return
    if to_do.blocked:
        yield refuse(host, to_do.blocked)
        return
    if to_do.is_empty:
        host.noop(f"{to_do.directory} has what is wanted of {', '.join(named)}")
        return
    if edits and waits:
        logger.warning(
            f"{print_prefix(host)}the restart after which containerd looks in {to_do.directory} "
            f"waits: {waits}"
        )
    _explain(now, to_do, edits, restarts)
    if to_do.changes:
        yield whole_file.change(to_do.changes)
    if to_do.moved:
        yield whole_file.move_away(to_do.moved)
    if edits:
        files = contents(now)
        yield swap(
            {path: (files.get(path), edit.text.encode()) for path, edit in edits.items()},
            daemon["config"]["path"],
            daemon_of(daemon),
            restart=restarts,
        )


def _not_known(now: ContainerdFilesShape, version: Version | None) -> str | None:
    """Why nothing certain can be said of the host's registries, None when it can."""
    daemon = now["containerd"]
    if version is None:
        return "cannot tell containerd's version, and so not what it takes"
    if not daemon["effective"] or daemon["registry_hosts"] is None:
        return f"containerd does not read its files: {daemon['config']['error']}"
    if daemon["registry_conflict"]:
        return daemon["registry_conflict"]
    return None


def _now(now: ContainerdFilesShape) -> RegistriesNow:
    found = now["containerd"]["registry_hosts"]
    directories = found["directories"] if found else {}
    return RegistriesNow(
        now["containerd"]["registry_config_path"] or "",
        {
            path: None if each["exists"] is None else each["registries"]
            for path, each in directories.items()
        },
        {
            path: FileNow(each["sum"], each["private"]) if each["exists"] else None
            for path, each in now["registries"].items()
        },
    )


def _edits(
    now: ContainerdFilesShape, version: Version, directory: str, restarts: bool
) -> tuple[Mapping[str, Edit], str | None]:
    """What tells containerd of the directory, or why it cannot be told now."""
    daemon = now["containerd"]
    if now["unreadable"]:
        return {}, f"cannot read {', '.join(now['unreadable'])}"
    unit = daemon["unit"]
    if now["unproven"] != [] or (unit is not None and unit["needs_daemon_reload"]):
        return {}, "a change of containerd is not finished: containerd.configured comes first"
    there = state(daemon)
    if restarts and (there.restart_pending != () or there.replaced):
        return {}, "containerd waits for a restart: containerd.running comes first"
    if not daemon["ctr"]:
        return {}, "ctr is missing, and so the way to ask whether CRI serves"
    try:
        return edits_by(
            lambda config, is_root: with_registry_directory(config, directory, is_root),
            daemon["config"]["path"],
            contents(now),
            version,
        ), None
    except ConfigError as error:
        return {}, str(error)


def _runs(now: ContainerdFilesShape) -> bool:
    unit = now["containerd"]["unit"]
    return unit is not None and unit["active"] in ("active", "activating", "reloading")


def _explain(
    now: ContainerdFilesShape, to_do: RegistryPlan, edits: Mapping[str, Edit], restarts: bool
) -> None:
    for change in to_do.changes:
        there = now["registries"].get(change.path)
        if change.path in to_do.shown:
            # what is there does not leave the host
            old = None if there is None else ""
            files = to_do.shown[change.path]
            explain_file(host, change.path, old, files.shown)
            explain(host, f"{change.path}: {files.order}")
        elif change.new is None:
            explain(host, f"remove {change.path}, which no registry names any more")
        else:
            explain(host, f"{'create' if there is None else 'change'} {change.path}")
    if to_do.changes:
        explain(host, "for root alone (mode 0600), in force with the next pull: no restart")
    for directory in to_do.moved:
        explain(
            host, f"{directory} -> {directory}{whole_file.BACKUP_SUFFIX}: not looked at any more"
        )
    before = contents(now)
    for path, edit in edits.items():
        for each in edit.changes:
            explain(host, f"{path}: {each}")
        explain_file(host, path, before[path].decode() if path in before else None, edit.text)
    if edits and restarts:
        explain(host, f"restart containerd and wait for CRI on {now['containerd']['socket']}")
