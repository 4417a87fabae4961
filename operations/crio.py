"""Install CRI-O, configure it for Kubernetes, and keep it running."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from packaging.version import Version
from pyinfra import host, logger
from pyinfra.api import (
    FileUploadCommand,
    FunctionCommand,
    OperationValueError,
    StringCommand,
    operation,
)

from kubenode.facts.crictl import Crictl, CrictlFileShape
from kubenode.facts.crio import SOCKET, Crio, CrioFiles, CrioFilesShape, CrioShape, bridge_of
from kubenode.files import host_lock
from kubenode.files.exact_text import bytes_of
from kubenode.files.toml_text import literal
from kubenode.linux.cgroups import Driver
from kubenode.operations import crictl, crio_program, other_runtime
from kubenode.operations.crio_host import CANNOT_TELL, COMES_FIRST, daemon_of, state
from kubenode.operations.kept_running import kept_running
from kubenode.packages.archive_transfer import FetchedBy
from kubenode.run import asked
from kubenode.run.pyinfra_internals import is_executing
from kubenode.run.telling import explain, explain_file, later, refuse
from kubenode.runtimes import cni
from kubenode.runtimes.config_swap import start, swap, undo
from kubenode.runtimes.crictl import CRICTL_CONFIG, CrictlPlan
from kubenode.runtimes.crio import own_file, proof
from kubenode.runtimes.crio import registries as registry_files
from kubenode.runtimes.crio.plan import CrioPlan, plan
from kubenode.runtimes.crio.source import Source, source_of
from kubenode.runtimes.crio.upkeep import upkeep
from kubenode.runtimes.crio.version_choice import Asked, check_version
from kubenode.runtimes.crio.wanted import CrioWanted
from kubenode.runtimes.restart import Restart, check_restart, postponed
from kubenode.runtimes.runtime import CRIO, path_of
from kubenode.settings import DEFAULTS, minor_release
from kubenode.wire import joint_reading
from kubenode.wire.bounded import INSTALL_SECONDS, RESTART_SECONDS, bounded

Commands = Generator[StringCommand | FunctionCommand | FileUploadCommand, Any, None]


@operation()
@bounded(INSTALL_SECONDS)
def installed(
    version: str | None = None,
    hold: bool = DEFAULTS.crio_hold,
    source: Source | Mapping[str, Any] = DEFAULTS.crio_source,
    kubernetes_version: str | None = DEFAULTS.kubernetes_version,
    restart: Restart | None = DEFAULTS.restart,
    fetched_by: FetchedBy = DEFAULTS.containerd_fetched_by,
    replace_runtime: bool = DEFAULTS.replace_runtime,
) -> Commands:
    """
    Install CRI-O, or make the one that is there the one that is wanted.

    + version: a package's version in full, a release (``1.36.3``), or a series (``1.36``). None is
      the series of *kubernetes_version*; without that an installed one is left alone
    + hold: keep the package manager from upgrading it. False leaves a hold as it is
    + source: where it comes from. ``distribution`` is the package ``cri-o`` of the host's
      sources (openSUSE has one, Debian has none, Fedora's have other names). A dict is a
      repository: :func:`kubenode.runtimes.crio.source.source_of`. CRI-O has one a minor release, so
      that ``{minor}`` stands in its URL, and a change of minor is a change of the host's source;
      ``{format}`` is ``deb`` or ``rpm``. A dict with ``version``, ``url`` and ``sha256`` by
      architecture is upstream's static bundle
    + kubernetes_version: release the node is for. A CRI-O of the same minor release is installed,
      and one that is older by two at most is left alone
    + restart: when another patch release may take the place of one that runs, which restarts it:
      ``now``, ``if-idle`` (no pod runs) or ``never``; None is ``now``, as pods survive that
    + fetched_by: who fetches an archive: ``host``, or ``control``, which sends it
    + replace_runtime: do it beside another runtime that is in use, on a node without pods;
      :func:`kubenode.operations.runtime.replaced` changes over. False refuses such a host

    A bundle stands beside others in ``/usr/local/lib/kubenode/crio``, with a unit of its own and
    a drop-in that names its programs. With apt it takes the place of a package, which goes, and a
    package of a repository takes its place. The package's own drop-ins go and come with it; all
    else in ``/etc`` stays as it is. A host is refused where somebody has edited such a drop-in, or
    another file names a program that goes. A CRI-O of neither stays, and is refused where it
    will not do.

    Another minor release, newer or older, removes all containers and makes them again when it
    starts: that is refused while pods run. What is there is changed in one command on the host: the
    new package is fetched, run, and shown the configuration; the old one is kept, and comes back
    where the new one does not serve. So does the next run after a power cut. With dnf and zypper
    the old RPM is kept before the host's source changes, as another minor release's repository has
    it no more. A host where another runtime is in use is refused.

    **Example:**

    .. code:: python

        crio.installed(
            name="CRI-O 1.36 of our mirror",
            version="1.36",
            source={
                "url": "https://mirror.example.org/cri-o/v{minor}/{format}/",
                "key": "files/cri-o.asc",
                "fingerprint": "9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
            },
        )
    """
    try:
        check_version(version)
        check_restart(restart)
        release = minor_release(kubernetes_version) if kubernetes_version is not None else None
    except ValueError as error:
        raise OperationValueError(f"version {error}") from error
    try:
        origin = source_of(source)
    except ValueError as error:
        raise OperationValueError(f"source {source!r}: {error}") from error
    yield from crio_program.steps(
        crio_program.Wanted(
            Asked(version, release), hold, origin, restart, fetched_by, replace_runtime
        )
    )


@operation()
@bounded(RESTART_SECONDS)
def configured(
    cgroup_driver: Driver = DEFAULTS.cgroup_driver,
    pause_image: str | None = None,
    monitor_cgroup: str | None = None,
    default_runtime: str | None = None,
    cni_bin_dirs: Sequence[str] | None = None,
    handlers: Mapping[str, Mapping[str, Any]] = DEFAULTS.crio_handlers,
    change_driver_under_pods: bool = DEFAULTS.change_driver_under_pods,
    restart: Restart | None = DEFAULTS.restart,
    replace_runtime: bool = DEFAULTS.replace_runtime,
) -> Commands:
    """
    Configure CRI-O for Kubernetes, by a drop-in of kubenode's own, and point ``/etc/crictl.yaml``
    at it. Files of the package and of others stay to the letter.

    + cgroup_driver: ``systemd`` or ``cgroupfs``; kubelet must use the same
    + pause_image: pause (sandbox) image, None leaves what is there
    + monitor_cgroup: where monitors (conmon) run: ``pod``, or a slice with the systemd driver. None
      leaves what is there, and is ``pod`` with the cgroupfs driver where CRI-O would not start
    + default_runtime: the handler of pods that name none (``crun``, ``runc``); None leaves it
    + cni_bin_dirs: directories of CNI plugins: those that are missing are added to CRI-O's
    + handlers: runtime handlers by name, which pods choose by a RuntimeClass, with the keys of
      CRI-O's table ``[crio.runtime.runtimes.NAME]``; those that are not named stay. Their programs
      must be on the host: CRI-O ignores a handler without its program
    + change_driver_under_pods: change the driver although pods of the other driver run
    + restart: when a daemon that runs is restarted for it: ``now``, ``if-idle`` (no pod runs) or
      ``never``. None is ``now``, as pods survive it. A restart that has to wait is a warning
    + replace_runtime: do it beside another runtime that is in use, on a node without pods;
      :func:`kubenode.operations.runtime.replaced` changes over. False refuses such a host

    What the files state as wanted, wherever, is left there. All else goes into
    ``/etc/crio/kubenode.conf``, which CRI-O reads through a link in ``crio.conf.d`` behind all
    others: CRI-O reads every file in that folder, so that a backup in it would count. A file that
    sorts behind and says otherwise is an error of that host, with file and line, and so are options
    on the daemon's command line.

    A change is shown to CRI-O before the swap. A reload (SIGHUP) gives a running daemon what it
    takes that way (pause image), a restart the rest; the operation ends when CRI-O
    has it in force. If it does not come up the old file comes back, on the host itself. An
    interrupted change is undone first. A host where another runtime is in use is refused.

    Sources: crio.conf(5), crio.conf.d(5).

    **Example:**

    .. code:: python

        crio.configured(
            name="CRI-O uses the systemd cgroup driver",
            cgroup_driver="systemd",
            pause_image="registry.k8s.io/pause:3.10.1",
        )
    """
    try:
        check_restart(restart)
        wanted = CrioWanted(
            cgroup_driver,
            pause_image,
            monitor_cgroup,
            default_runtime,
            None if cni_bin_dirs is None else cni.check_directories(cni_bin_dirs),
            handlers,
        )
    except ValueError as error:
        raise OperationValueError(str(error)) from error
    for other in asked.by_others(host, "crio.configured", asdict(wanted)):
        if problem := _contradiction(other, asdict(wanted)):
            yield refuse(host, asked.contradiction(host, problem))
            return
    yield from _configured(wanted, change_driver_under_pods, restart, replace_runtime)


def _contradiction(other: dict[str, Any], mine: dict[str, Any]) -> str | None:
    """Of which setting two calls of this run want different things, None when of none."""
    for name, value in mine.items():
        if None not in (value, other[name]) and value != other[name]:
            return (
                f"crio.configured is called twice in this run, with {name}={other[name]!r} and "
                f"with {name}={value!r}: each would undo the other, say the same in both or "
                "remove one"
            )
    return None


class _ToDo(NamedTuple):
    """What has to be done, to CRI-O's files and to crictl's."""

    crio: CrioPlan
    crictl: CrictlPlan
    waits: str | None
    """Why a restart that this takes has to wait."""

    @property
    def blocked(self) -> str | None:
        return self.crio.blocked or self.crictl.blocked

    @property
    def is_empty(self) -> bool:
        return self.crio.edit is None and self.crictl.new == self.crictl.old


def _configured(
    wanted: CrioWanted,
    change_driver_under_pods: bool,
    restart: Restart | None,
    replace_runtime: bool,
) -> Commands:
    both = joint_reading.get_both(CrioFiles, Crictl)
    now, now_crictl = both
    if now is None or now_crictl is None:
        yield refuse(host, CANNOT_TELL)
        return
    if problem := other_runtime.problem(now["runtimes"], CRIO, replace_runtime):
        yield refuse(host, problem)
        return
    if not now["crio"]["installed"]["binary"]:
        if is_executing(host):
            yield refuse(host, COMES_FIRST)
        else:
            yield later(host, "CRI-O will be configured once it is installed")
        return
    if _is_unsettled(now):
        yield from _settled(now)
        settled = joint_reading.get_fact_now(CrioFiles)
        if settled is None:
            yield refuse(host, CANNOT_TELL)
            return
        now = settled
    to_do = _to_do(now, now_crictl, wanted, change_driver_under_pods, restart)
    _warn(now["crio"])
    if to_do.blocked:
        yield refuse(host, to_do.blocked)
        return
    if to_do.is_empty:
        host.noop(
            f"CRI-O's files have the {wanted.cgroup_driver} cgroup driver, {CRICTL_CONFIG} points "
            f"at {now['crio']['socket']}"
        )
        return
    _explain(now, to_do)
    yield from _follow(now, to_do, wanted)


def _warn(daemon: CrioShape) -> None:
    policy = daemon["signature_policy"]
    if policy["exists"] is False and not daemon["config"]["error"]:
        logger.warning(
            f"{host.print_prefix}{policy['path']} is missing, without which CRI-O pulls no image"
        )
    network = daemon["cni"]["config"]
    if bridge_of(network):
        logger.warning(
            f"{host.print_prefix}{network} is the bridge that CRI-O's package brings: pods of two "
            "nodes cannot meet in it; rename it so that it ends in .disabled"
        )


def _is_unsettled(now: CrioFilesShape) -> bool:
    unit = now["crio"]["unit"]
    return now["unproven"] or (unit is not None and unit["needs_daemon_reload"])


def _settled(now: CrioFilesShape) -> Commands:
    unit = now["crio"]["unit"]
    if unit is not None and unit["needs_daemon_reload"]:
        explain(host, "crio.service changed on disk: reload systemd")
        yield host_lock.under_lock("systemctl daemon-reload")
    if now["unproven"]:
        explain(
            host,
            f"a change was interrupted: {own_file.FILE} as before it, unless it was edited since; "
            "then the files are read again, and changed where they are not as wanted",
        )
        yield undo(own_file.FILE)


def _to_do(
    now: CrioFilesShape,
    now_crictl: CrictlFileShape,
    wanted: CrioWanted,
    change_driver_under_pods: bool,
    restart: Restart | None,
) -> _ToDo:
    version = now["crio"]["installed"]["version"]
    there = state(now["crio"])
    others = (registry_files.FILE, registry_files.NOTE)
    planned = plan(
        {path: text for path, text in now["contents"].items() if path not in others},
        now["crio"]["own_link"],
        None if version is None else Version(version),
        wanted,
        there,
        [path for path in now["unreadable"] if path not in others],
        change_driver_under_pods,
    )
    waits = postponed(restart, there.pods_count) if planned.applied_by == "restart" else None
    return _ToDo(
        replace(planned, applied_by=None) if waits else planned,
        crictl.planned(now_crictl, _socket_for(now_crictl, now["crio"]["socket"])),
        waits,
    )


def _socket_for(now: CrictlFileShape, socket: str) -> str:
    """The socket as crictl's file has it: CRI-O's package writes /var/run, which is right."""
    stated = now["runtimes"]["crictl_endpoint"] or ""
    path = stated.removeprefix("unix://")
    return path if path.startswith("/") and path_of(stated) == socket else socket


def _explain(now: CrioFilesShape, to_do: _ToDo) -> None:
    edit = to_do.crio.edit
    if edit is not None:
        for change in edit.changes:
            explain(host, f"{own_file.FILE}: {change}")
        explain_file(host, own_file.FILE, now["contents"].get(own_file.FILE), edit.text)
        if to_do.crio.links:
            explain(host, f"{own_file.LINK} -> {own_file.TARGET}: CRI-O reads it behind all others")
    if to_do.waits:
        logger.warning(f"{host.print_prefix}the restart of CRI-O waits: {to_do.waits}")
    if to_do.crio.applied_by:
        explain(host, f"{to_do.crio.applied_by} CRI-O and wait for it on {now['crio']['socket']}")
    crictl.explained(to_do.crictl)


def _follow(now: CrioFilesShape, to_do: _ToDo, wanted: CrioWanted) -> Commands:
    edit = to_do.crio.edit
    daemon = daemon_of(now["crio"])
    if edit is not None:
        if to_do.crio.links or own_file.FILE not in now["contents"]:
            yield proof.link()
        old = now["contents"].get(own_file.FILE)
        yield swap(
            {own_file.FILE: (None if old is None else bytes_of(old), edit.text.encode())},
            own_file.FILE,
            daemon,
            restart=to_do.crio.applied_by == "restart",
        )
        if to_do.crio.applied_by == "reload":
            lines = [f"{_key(change.what)} = {change.new}" for change in edit.changes]
            yield start(
                daemon,
                [
                    "systemctl reload crio.service",
                    *(f"has_in_force {shlex.quote(line)}" for line in lines),
                ],
            )
    yield from crictl.changed(to_do.crictl)
    if edit is None or to_do.waits:
        return
    # What was read before the change says nothing about what came of it.
    after = joint_reading.get_fact_now(Crio)
    if after is None:
        yield refuse(host, "CRI-O was configured, and now its state cannot be read")
    elif after["cgroup_driver"] != wanted.cgroup_driver:
        yield refuse(
            host,
            f"CRI-O is configured, and its cgroup driver is {after['cgroup_driver']}, not "
            f"{literal(wanted.cgroup_driver)}",
        )


def _key(what: str) -> str:
    return what.rpartition(".")[2]


@operation()
@bounded(RESTART_SECONDS)
def registries(
    registries: Mapping[str, Mapping[str, Any] | None],
    replace_runtime: bool = DEFAULTS.replace_runtime,
) -> Commands:
    """
    Tell CRI-O of registries' mirrors, of registries elsewhere, and of those that are blocked.

    + registries: by what an image's name begins with: ``mirrors``, ``location``, ``insecure``,
      ``blocked``, see :func:`kubenode.runtimes.crio.registries.check`. None removes it; those that
      are not named stay
    + replace_runtime: do it beside another runtime that is in use, on a node without pods;
      :func:`kubenode.operations.runtime.replaced` changes over. False refuses such a host

    They go into ``/etc/containers/registries.conf.d/50-kubenode.conf``, and a CRI-O that runs is
    reloaded: where it does not take them, which its log says, what was there comes back. Every
    program that uses containers' libraries on the host reads them too (podman, skopeo). Passwords
    are none of it: an auth file has them (``global_auth_file``).

    Source: containers-registries.conf(5).

    **Example:**

    .. code:: python

        crio.registries(
            name="Images of Docker Hub come from our mirror",
            registries={"docker.io": {"mirrors": ["mirror.example.org/docker"]}},
        )
    """
    try:
        wanted = registry_files.check(registries)
    except ValueError as error:
        raise OperationValueError(str(error)) from error
    now = joint_reading.get_fact(CrioFiles)
    if now is None:
        yield refuse(host, CANNOT_TELL)
        return
    if problem := other_runtime.problem(now["runtimes"], CRIO, replace_runtime):
        yield refuse(host, problem)
        return
    path = registry_files.FILE
    for unreadable in {path, registry_files.NOTE}.intersection(now["unreadable"]):
        yield refuse(host, f"cannot read {unreadable}: nothing was changed")
        return
    if now["registries_unproven"]:
        # what is there may be as wanted, and CRI-O has never seen it
        explain(host, f"a change was interrupted: {path} as before it, unless it was edited since")
        yield undo(path)
        now = joint_reading.get_fact_now(CrioFiles)
        if now is None:
            yield refuse(host, CANNOT_TELL)
            return
    old = now["contents"].get(path)
    try:
        new = registry_files.edited(old, wanted)
    except ValueError as error:
        yield refuse(host, f"{error}: nothing was changed")
        return
    if new == (old or ""):
        host.noop(f"{path} has {', '.join(wanted)} as wanted")
        return
    explain_file(host, path, old, new)
    unit = now["crio"]["unit"]
    if unit is not None and unit["active"] == "active":
        explain(host, "reload CRI-O: what was there comes back where it does not take it")
    daemon = now["crio"]
    judged = proof.of_registries(daemon["installed"]["binary"] or "/usr/bin/crio", SOCKET)
    before = None if old is None else bytes_of(old)
    yield swap({path: (before, new.encode())}, path, judged, restart=False)


@operation()
@bounded(RESTART_SECONDS)
def running(
    change_driver_under_pods: bool = DEFAULTS.change_driver_under_pods,
    restart: Restart | None = DEFAULTS.restart,
    replace_runtime: bool = DEFAULTS.replace_runtime,
) -> Commands:
    """
    Keep CRI-O enabled, running and serving, with the configuration that is on disk.

    + change_driver_under_pods: restart a daemon whose driver was edited although pods of the other
      one run
    + restart: when it is restarted: ``now``, ``if-idle`` (no pod runs) or ``never``; None: ``now``
    + replace_runtime: do it beside another runtime that is in use, on a node without pods;
      :func:`kubenode.operations.runtime.replaced` changes over. False refuses such a host

    A daemon that has not in force what its files say is reloaded where that brings it, else
    restarted; containers go on. The operation ends when CRI-O answers. A host where another runtime
    is in use is refused, see :mod:`kubenode.runtimes.other_runtimes`.

    **Example:**

    .. code:: python

        crio.running(
            name="CRI-O serves CRI, also after the next boot",
        )
    """
    try:
        check_restart(restart)
    except ValueError as error:
        raise OperationValueError(str(error)) from error
    now = joint_reading.get_fact(Crio)
    if now is None:
        yield refuse(host, "cannot tell whether CRI-O runs, see the lines above")
        return
    if problem := other_runtime.problem(now["runtimes"], CRIO, replace_runtime):
        yield refuse(host, problem)
        return
    if not now["installed"]["binary"]:
        if is_executing(host):
            yield refuse(host, COMES_FIRST)
        else:
            yield later(host, "CRI-O will be enabled and started once it is installed")
        return
    to_do = upkeep(
        state(now), now["config"]["error"], now["after_restart"], change_driver_under_pods, restart
    )
    enabled = now["unit"]["enabled"] if now["unit"] else ""
    yield from kept_running(
        to_do,
        daemon_of(now),
        f"CRI-O {now['installed']['version']} is {enabled}, active and serves CRI on "
        f"{now['socket']}",
        "the restart of CRI-O waits",
    )
