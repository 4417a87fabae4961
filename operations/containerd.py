"""Install containerd, configure it for Kubernetes, and keep it running."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import fields, replace
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

from kubenode.facts.containerd import (
    Containerd,
    ContainerdFiles,
    ContainerdFilesShape,
    ContainerdShape,
    UnprovenShape,
)
from kubenode.facts.crictl import Crictl, CrictlFileShape
from kubenode.facts.handler_needs import HandlerNeeds, HandlerNeedsShape
from kubenode.files import host_lock, whole_file
from kubenode.files.toml_text import Path, dotted
from kubenode.linux.cgroups import Driver
from kubenode.operations import containerd_program, containerd_sources, crictl, other_runtime
from kubenode.operations.containerd_absent import absent as absent
from kubenode.operations.containerd_host import CANNOT_TELL as _CANNOT_TELL
from kubenode.operations.containerd_host import COMES_FIRST as _COMES_FIRST
from kubenode.operations.containerd_host import cni_in_force as _cni
from kubenode.operations.containerd_host import contents as _contents
from kubenode.operations.containerd_host import daemon_of as _daemon
from kubenode.operations.containerd_host import state as _state
from kubenode.operations.containerd_registry import registry_hosts as registry_hosts
from kubenode.operations.containerd_service import service as service
from kubenode.operations.kept_running import kept_running
from kubenode.packages.archive_transfer import FetchedBy
from kubenode.run import asked
from kubenode.run.pyinfra_internals import is_executing
from kubenode.run.telling import explain, explain_file, later, refuse
from kubenode.runtimes import cni
from kubenode.runtimes.config_swap import swap, undo
from kubenode.runtimes.containerd import releases
from kubenode.runtimes.containerd.handler_wishes import needs_of
from kubenode.runtimes.containerd.handlers import unrecognised
from kubenode.runtimes.containerd.merging import must_be_known
from kubenode.runtimes.containerd.plan import Plan, plan
from kubenode.runtimes.containerd.source import Source, source_of
from kubenode.runtimes.containerd.upkeep import upkeep
from kubenode.runtimes.containerd.wanted import ContainerdWanted
from kubenode.runtimes.crictl import CRICTL_CONFIG, CrictlPlan
from kubenode.runtimes.restart import Restart, check_restart, postponed
from kubenode.runtimes.runtime import CONTAINERD
from kubenode.settings import DEFAULTS, minor_release
from kubenode.wire import joint_reading
from kubenode.wire.bounded import INSTALL_SECONDS, RESTART_SECONDS, bounded
from kubenode.wire.probe_fact import ProbeFact

Commands = Generator[StringCommand | FunctionCommand | FileUploadCommand, Any, None]


_PACKAGE = "containerd"


@operation()
@bounded(INSTALL_SECONDS)
def installed(
    version: str | None = None,
    hold: bool = DEFAULTS.containerd_hold,
    source: Source | Mapping[str, Any] = DEFAULTS.containerd_source,
    kubernetes_version: str | None = DEFAULTS.kubernetes_version,
    restart: Restart | None = DEFAULTS.restart,
    fetched_by: FetchedBy = DEFAULTS.containerd_fetched_by,
    replace_runtime: bool = DEFAULTS.replace_runtime,
) -> Commands:
    """
    Install containerd, or make the one that is there the one that is wanted.

    + version: a package's version in full (``1.7.24~ds1-6+deb13u1``), a release (``2.3.4``), or a
      series (``2.3``: the newest of it that the source has). None leaves an installed one alone,
      unless it does not fit *kubernetes_version*
    + hold: keep the package manager from upgrading it: an unattended upgrade would restart the
      runtime (kubespray#7276, moby#48179). With apt unattended-upgrades and needrestart are told to
      leave it alone too (:mod:`kubenode.packages.left_alone`). False leaves all that as it is
    + source: where it comes from. ``distribution`` is the distribution's own ``containerd`` package
      by apt, dnf or zypper. ``docker`` is ``containerd.io`` of Docker's repository. A
      :class:`kubenode.packages.source.Repository` is any other, such as a mirror. An archive
      (:func:`kubenode.packages.archive.containerd_archive`, or the dict it takes) is a release of
      upstream's, with runc where it has one
    + kubernetes_version: release the node is for, such as ``1.37``: without *version* the newest
      that fits it is installed, and a host for which the source has none is refused, before
      anything is changed. None asks for nothing
    + restart: when another containerd may take the place of one that runs, which restarts it:
      ``now``, ``if-idle`` (no pod runs) or ``never``. None is ``now`` where pods survive it. Where
      they do not (2.x -> 1.x ends what 2.x has started), it is refused while pods run

    + fetched_by: who fetches an archive: ``host``, or ``control``: the control machine, once, which
      sends it to the hosts
    + replace_runtime: do it beside another runtime that is in use, on a node without pods;
      :func:`kubenode.operations.runtime.replaced` changes over. False refuses such a host

    What is there is changed in one command on the host: the new packages are fetched, run, and
    shown the configuration; the old ones are kept; then they are exchanged and containerd is
    restarted. Where it does not serve as it did before, the old ones come back, from what was kept,
    and the operation fails with the reason. So does the next run after a power cut. See
    :mod:`kubenode.runtimes.program_change`.

    With the source ``distribution`` a ``containerd.io`` package, an archive or a binary without a
    package counts as installed: kubenode does not replace a runtime that somebody chose, unless a
    version is asked for, or needed, that it is not. With any other source what is there from
    elsewhere gives way, nothing that shadows it stays, and that is said before. A binary that is
    from no package and no archive of kubenode's is an error then. So is Docker Engine that would
    lose the package it needs.
    A package that dpkg has unpacked and not configured, since it was killed or the power went, does
    not count: what dpkg began is finished first (``dpkg --configure -a``, as apt asks for). Another
    process that changes packages (unattended-upgrades, cloud-init) is waited for, at most 300 s.
    A host where another runtime is in use is refused, see :mod:`kubenode.runtimes.other_runtimes`.
    An apt source that does not answer, or is not signed, is a warning with apt's own words, and an
    error only where containerd cannot be installed without it. A release that upstream no longer
    supports is installed with a warning.

    **Example:**

    .. code:: python

        containerd.installed(
            name="Install the newest containerd 2.3, and keep it",
            version="2.3",
            hold=True,
        )
    """
    try:
        releases.check_package_version(version)
    except ValueError as error:
        raise OperationValueError(f"version {error}") from error
    try:
        origin = source_of(source)
    except ValueError as error:
        raise OperationValueError(f"source {source!r}: {error}") from error
    try:
        release = minor_release(kubernetes_version) if kubernetes_version is not None else None
        check_restart(restart)
    except ValueError as error:
        raise OperationValueError(str(error)) from error
    if fetched_by not in ("host", "control"):
        raise OperationValueError(f"fetched_by is host or control, not {fetched_by!r}")
    yield from containerd_program.steps(
        containerd_sources.Wanted(
            version, hold, origin, release, restart, fetched_by, replace_runtime
        )
    )


@operation()
@bounded(RESTART_SECONDS)
def configured(
    cgroup_driver: Driver = DEFAULTS.cgroup_driver,
    pause_image: str | None = None,
    snapshotter: str | None = None,
    registry_config_path: str | None = None,
    cni_bin_dirs: Sequence[str] | None = None,
    handlers: Mapping[str, Mapping[str, Any] | None] = DEFAULTS.containerd_handlers,
    default_handler: str | None = DEFAULTS.containerd_default_handler,
    fragment: str | Mapping[str, Any] | None = DEFAULTS.containerd_fragment,
    change_driver_under_pods: bool = DEFAULTS.change_driver_under_pods,
    restart: Restart | None = DEFAULTS.restart,
    replace_runtime: bool = DEFAULTS.replace_runtime,
) -> Commands:
    """
    Configure containerd for Kubernetes: the cgroup driver of every runc-type handler, CRI switched
    on, ``/etc/crictl.yaml`` pointing at it. All else in its files stays to the letter.

    + cgroup_driver: ``systemd`` or ``cgroupfs``; kubelet must use the same
    + pause_image: pause (sandbox) image, None leaves what is there
    + snapshotter: None leaves what is there
    + registry_config_path: directory of registry ``hosts.toml`` files, None leaves what is there
    + cni_bin_dirs: directories of CNI plugins, the most important first; None leaves what is there.
      containerd 2.1 and later look in all of them, and in those that are configured already. An
      older one has a single directory: the one it has if the network's plugins are all there, else
      the first of these that has them all, else the first
    + handlers: runtime handlers by name, as a RuntimeClass names them, with the keys of their table
      in containerd's files: ``runtime_type``, ``options`` (``BinaryName``, ``ConfigPath``, ...),
      ``pod_annotations``, ``privileged_without_host_devices``, ``snapshotter``, ... None in place
      of the keys removes a handler. Handlers, and keys of one, that are not named stay as they are
    + default_handler: the handler of pods that ask for none; None leaves what is there
    + fragment: anything else, as TOML or as a dict of the same, see below; None is nothing
    + change_driver_under_pods: change the driver although pods of the other driver run. They keep
      running in the old place, kubelet then manages the new one: drain the node instead
    + restart: when a daemon that runs is restarted for it: ``now``, ``if-idle`` (no pod runs) or
      ``never``. None is ``now``, as pods survive it. A restart that has to wait is a warning, and
      the audit shows it
    + replace_runtime: do it beside another runtime that is in use, on a node without pods;
      :func:`kubenode.operations.runtime.replaced` changes over. False refuses such a host

    The files are edited structurally in the tables of their own version (2, 3 or 4); a version 1
    file becomes version 2, and one of a version above the release's the highest that it takes.
    Files the main one imports are edited where they state the same
    settings, since they win over it.

    A handler's shim, its ``BinaryName`` and the files it names must be on the host: a host without
    them is refused, and the message says what to install. Its cgroup driver is *cgroup_driver*
    where its shim is runc's. A default that nobody defines is refused, and so is removing the
    default. Pods of a handler that is removed go on; no new container starts in them.

    The fragment's names may be those of configuration version 2, 3 or 4: each value goes where the
    host's file has it, and a host whose version has no place for it is refused. A value that is
    stated already is changed where it stands, also in an imported file. What kubenode has an
    argument for is refused, with its name. What the fragment no longer has stays: None, as a dict's
    value, takes a key or a table away. It is no place for passwords: what changes is printed.
    See :mod:`kubenode.runtimes.containerd.fragment`.

    What containerd does not know of handlers or fragment it would ignore without a word: so the
    change is undone, and the message names it.

    A change is shown to containerd before the swap, the daemon is restarted if it runs, and the
    operation ends when CRI answers. If it does not, the old files come back, on the host itself.
    What a file was before stays beside it, see :mod:`kubenode.files.whole_file`. An interrupted
    change is undone first, if its files are still exactly what it made them; otherwise they stay
    as they are. A host where another runtime is in use is refused, see
    :mod:`kubenode.runtimes.other_runtimes`. Two calls in one run that want different things of one
    setting are an error.

    **Example:**

    .. code:: python

        containerd.configured(
            name="containerd uses the systemd cgroup driver",
            cgroup_driver="systemd",
            pause_image="registry.k8s.io/pause:3.10",
            handlers={
                "nvidia": {
                    "runtime_type": "io.containerd.runc.v2",
                    "options": {"BinaryName": "/usr/bin/nvidia-container-runtime"},
                },
            },
        )
    """
    try:
        wanted = ContainerdWanted(
            cgroup_driver,
            pause_image,
            snapshotter,
            registry_config_path,
            None if cni_bin_dirs is None else cni.check_directories(cni_bin_dirs),
            handlers,
            default_handler,
            fragment,
        )
    except ValueError as error:
        raise OperationValueError(str(error)) from error
    _check_restart(restart)
    mine = _asked_for(wanted)
    for other in asked.by_others(host, "containerd.configured", mine):
        if problem := _contradiction(other, mine):
            yield refuse(host, asked.contradiction(host, problem))
            return
    yield from _configured(wanted, change_driver_under_pods, restart, replace_runtime)


def _check_restart(restart: object) -> None:
    try:
        check_restart(restart)
    except ValueError as error:
        raise OperationValueError(str(error)) from error


def _asked_for(wanted: ContainerdWanted) -> dict[str, Any]:
    """What a call asks for, by the setting; handlers and values of a fragment one by one."""
    settings: dict[str, Any] = {
        each.name: getattr(wanted, each.name)
        for each in fields(wanted)
        if each.name not in ("handlers", "fragment")
    }
    # None removes, and is no setting that is left alone
    settings |= {f"handlers[{name!r}]": (each,) for name, each in wanted.handlers.items()}
    settings |= {
        f"fragment[{dotted(path)}]": (each,) for path, each in wanted.fragment_values.items()
    }
    return settings


def _contradiction(other: dict[str, Any], mine: dict[str, Any]) -> str | None:
    """Of which setting two calls of this run want different things, None when of none."""
    for name, value in mine.items():
        if None not in (value, other.get(name)) and value != other[name]:
            return (
                f"containerd.configured is called twice in this run, with "
                f"{name}={_shown(other[name])} and with {name}={_shown(value)}: each would undo "
                f"the other, say the same in both (kubenode_{_setting(name)}, where one is "
                "kubenode.node.prepare) or remove one"
            )
    return None


def _shown(value: Any) -> str:
    return repr(value[0] if isinstance(value, tuple) and len(value) == 1 else value)


def _setting(name: str) -> str:
    field = name.partition("[")[0]
    is_own = field in ("handlers", "default_handler", "fragment")
    return f"containerd_{field}" if is_own else field


class _ToDo(NamedTuple):
    """What has to be done, to containerd's files and to crictl's."""

    containerd: Plan
    crictl: CrictlPlan
    waits: str | None
    """Why a restart that this takes has to wait."""
    conflicts: tuple[str, ...] = ()
    """What others have said of a handler that is changed."""

    @property
    def blocked(self) -> str | None:
        return self.containerd.blocked or self.crictl.blocked

    @property
    def is_empty(self) -> bool:
        return not self.containerd.edits and self.crictl.new == self.crictl.old


def _configured(
    wanted: ContainerdWanted,
    change_driver_under_pods: bool,
    restart: Restart | None,
    replace_runtime: bool,
) -> Commands:
    read = joint_reading.get_each(facts_of(wanted.handlers))
    now, now_crictl, needs = (*read, _NO_NEEDS)[:3]
    if now is None or now_crictl is None or needs is None:
        yield refuse(host, _CANNOT_TELL)
        return
    if problem := other_runtime.problem(now["runtimes"], CONTAINERD, replace_runtime):
        yield refuse(host, problem)
        return
    if not now["containerd"]["installed"]["binary"]:
        if is_executing(host):
            yield refuse(host, _COMES_FIRST)
        else:
            yield later(host, "containerd will be configured once it is installed")
        return
    found = {
        **{name: path is not None for name, path in needs["programs"].items()},
        **needs["files"],
    }
    to_do = _to_do(now, now_crictl, wanted, change_driver_under_pods, restart, found)
    explained = None
    if _is_unsettled(now):
        explained = _explain_beforehand(now, to_do)
        yield from _settle(now)
        settled = joint_reading.get_fact_now(ContainerdFiles)
        if settled is None:
            yield refuse(host, _CANNOT_TELL)
            return
        now = settled
        to_do = _to_do(now, now_crictl, wanted, change_driver_under_pods, restart, found)
    if to_do.blocked:
        yield refuse(host, to_do.blocked)
        return
    _warn_of_unrecognised(now["containerd"])
    if to_do.is_empty:
        host.noop(_configured_already(now["containerd"], wanted))
        return
    if to_do != explained:
        _explain(now, to_do)
    yield from _follow(now, to_do, wanted)


_NO_NEEDS: HandlerNeedsShape = {"programs": {}, "files": {}}


def facts_of(
    handlers: Mapping[str, Mapping[str, Any] | None],
) -> list[tuple[type[ProbeFact[Any]], dict[str, Any]]]:
    """The facts that :func:`configured` reads first, with their arguments.

    + handlers: those that are wanted
    """
    facts: list[tuple[type[ProbeFact[Any]], dict[str, Any]]] = [(ContainerdFiles, {}), (Crictl, {})]
    needs = {need for each in handlers.values() for need in needs_of(each)}
    if needs:
        programs = sorted(need.what for need in needs if need.is_program)
        files = sorted(need.what for need in needs if not need.is_program)
        facts.append((HandlerNeeds, {"programs": programs, "files": files}))
    return facts


def _to_do(
    now: ContainerdFilesShape,
    now_crictl: CrictlFileShape,
    wanted: ContainerdWanted,
    change_driver_under_pods: bool,
    restart: Restart | None,
    found: Mapping[str, bool],
) -> _ToDo:
    version = now["containerd"]["installed"]["version"]
    state = _state(now["containerd"])
    planned = plan(
        _contents(now),
        None if version is None else Version(version),
        wanted,
        state,
        None if wanted.cni_bin_dirs is None else _cni(now["containerd"]["cni"]),
        now["unreadable"],
        change_driver_under_pods,
        found,
    )
    waits = postponed(restart, state.pods_count, state.pods_survive) if planned.restarts else None
    return _ToDo(
        replace(planned, restarts=planned.restarts and waits is None),
        crictl.planned(now_crictl, now["containerd"]["socket"]),
        waits,
        _conflicts(now["containerd"], planned, wanted),
    )


def _conflicts(daemon: ContainerdShape, planned: Plan, wanted: ContainerdWanted) -> tuple[str, ...]:
    changed = [
        change.what
        for edit in planned.edits.values()
        for change in edit.changes
        if change.old is not None
    ]
    sentences = []
    for name, settings in wanted.handlers.items():
        there = daemon["handlers"].get(name)
        if there and settings and any(f".runtimes.{name}." in what for what in changed):
            defined = there["defined"]
            where = f" by {defined['file']}:{defined['line']}" if defined else ""
            sentences.append(
                f"handler {name} is defined{where} already: what is named is changed there, and "
                "the rest of it stays; see that nobody else goes on writing it (nvidia-ctk, an "
                "operator)"
            )
    return tuple(sentences)


def _is_unsettled(now: ContainerdFilesShape) -> bool:
    """Whether a package's upgrade or an interrupted run has left something to finish first."""
    return _needs_reload(now) or now["unproven"] != []


def _needs_reload(now: ContainerdFilesShape) -> bool:
    unit = now["containerd"]["unit"]
    return unit is not None and unit["needs_daemon_reload"]


def _settle(now: ContainerdFilesShape) -> Commands:
    if _needs_reload(now):
        yield host_lock.under_lock("systemctl daemon-reload")
    if now["unproven"] != []:
        yield undo(now["containerd"]["config"]["path"])


def _explain_beforehand(now: ContainerdFilesShape, to_do: _ToDo) -> _ToDo | None:
    """Explain what is finished first, and what comes then: the host is read again before it is
    done. Returns what was explained of it."""
    if _needs_reload(now):
        explain(host, "containerd.service changed on disk: reload systemd")
    if now["unproven"] != []:
        explain(host, _interrupted(now["unproven"]))
        explain(
            host,
            f"then {now['containerd']['config']['path']}, what it imports and {CRICTL_CONFIG} are "
            "read again, and changed where they are not as wanted",
        )
        return None
    if to_do.blocked:
        explain(host, f"then the files are read again; as they are now: {to_do.blocked}")
    else:
        _explain(now, to_do)
    return to_do


def _explain(now: ContainerdFilesShape, to_do: _ToDo) -> None:
    files = _contents(now)
    for sentence in to_do.conflicts:
        explain(host, sentence)
    for path, edit in to_do.containerd.edits.items():
        for change in edit.changes:
            explain(host, f"{path}: {change}")
        explain_file(host, path, files[path].decode() if path in files else None, edit.text)
    if to_do.waits:
        logger.warning(f"{host.print_prefix}the restart of containerd waits: {to_do.waits}")
    if to_do.containerd.restarts:
        explain(host, f"restart containerd and wait for CRI on {now['containerd']['socket']}")
    crictl.explained(to_do.crictl)


def _follow(now: ContainerdFilesShape, to_do: _ToDo, wanted: ContainerdWanted) -> Commands:
    edits, files = to_do.containerd.edits, _contents(now)
    if edits:
        yield swap(
            {path: (files.get(path), edit.text.encode()) for path, edit in edits.items()},
            now["containerd"]["config"]["path"],
            _daemon(now["containerd"], _must_be_known(now, wanted)),
            restart=to_do.containerd.restarts,
        )
    yield from crictl.changed(to_do.crictl)
    if not edits:
        return
    # What was read before the change says nothing about what came of it.
    after = joint_reading.get_fact_now(Containerd)
    if after is None:
        yield refuse(host, "containerd was configured, and now its state cannot be read")
    elif problem := _state(after).still_wrong(wanted.cgroup_driver) or _not_in_force(after, wanted):
        yield refuse(host, problem)


def _must_be_known(now: ContainerdFilesShape, wanted: ContainerdWanted) -> list[Path]:
    version = now["containerd"]["installed"]["version"]
    values = {**wanted.handler_values, **wanted.fragment_values}
    return must_be_known(values, releases.release_of(Version(version))) if version else []


def _not_in_force(after: ContainerdShape, wanted: ContainerdWanted) -> str | None:
    """Which handler is not what was wanted although the files say so, None when all are."""
    for name, settings in wanted.handlers.items():
        there = after["handlers"].get(name)
        kind = (settings or {}).get("runtime_type")
        if (there is None) != (settings is None) or (
            there and kind not in (None, there["runtime_type"])
        ):
            return (
                f"containerd was configured, and its config dump has the handler {name} otherwise: "
                f"{there['runtime_type'] if there else 'it has none'}"
            )
    default = wanted.default_handler
    if default is not None and after["default_handler"] != default:
        return f"containerd was configured, and its default handler is {after['default_handler']}"
    return None


def _warn_of_unrecognised(daemon: ContainerdShape) -> None:
    for name, handler in daemon["handlers"].items():
        if not handler["recognised"]:
            what = f"containerd's handler {name}: {unrecognised(handler['runtime_type'])}"
            logger.warning(f"{host.print_prefix}{what}")


def _interrupted(unproven: list[UnprovenShape] | None) -> str:
    """What becomes of an interrupted change; the host decides again when it comes to it."""
    if unproven is None:
        return "a change was interrupted, and its note cannot be followed: all files stay"
    if edited := [file["path"] for file in unproven if file["now"] == "edited"]:
        return (
            f"a change was interrupted, and {', '.join(edited)} was edited since: nothing of it is "
            f"undone, what was there before it is beside it ({whole_file.BACKUP_SUFFIX})"
        )
    paths = ", ".join(file["path"] for file in unproven)
    return f"a change was interrupted: {paths} as before it"


def _configured_already(daemon: ContainerdShape, wanted: ContainerdWanted) -> str:
    handlers = [name for name, handler in daemon["handlers"].items() if handler["cgroup_driver"]]
    waits = _state(daemon).waits_for_restart
    return (
        f"{daemon['config']['path']} has the {wanted.cgroup_driver} cgroup driver for "
        f"{', '.join(handlers)}, CRI is on, {CRICTL_CONFIG} points at {daemon['socket']}"
        + (", handlers and fragment are in force" if _must_have_more(wanted) else "")
        + (f"; a restart has yet to put {', '.join(waits)} in force" if waits else "")
    )


def _must_have_more(wanted: ContainerdWanted) -> bool:
    return bool(wanted.handler_values or wanted.fragment_values)


@operation()
@bounded(RESTART_SECONDS)
def running(
    change_driver_under_pods: bool = DEFAULTS.change_driver_under_pods,
    restart: Restart | None = DEFAULTS.restart,
    replace_runtime: bool = DEFAULTS.replace_runtime,
) -> Commands:
    """
    Keep containerd enabled, running and serving CRI, with the configuration that is on disk.

    + change_driver_under_pods: restart a daemon whose configuration was edited although pods of
      the other cgroup driver run

    + restart: when it is restarted: ``now``, ``if-idle`` (no pod runs) or ``never``; None: ``now``
    + replace_runtime: do it beside another runtime that is in use, on a node without pods;
      :func:`kubenode.operations.runtime.replaced` changes over. False refuses such a host

    A daemon whose files were changed after it started, or whose program was exchanged, is
    restarted; running containers stay (their shims hold them). Where they would not survive the
    other program (2.x -> 1.x) the restart waits until no pod runs. A daemon of which it cannot be
    told, as the host's clock was set back, is restarted too; the files get the time of now. The
    operation ends when CRI answers. A host where another runtime is in use is refused, see
    :mod:`kubenode.runtimes.other_runtimes`.

    **Example:**

    .. code:: python

        containerd.running(
            name="containerd serves CRI, also after the next boot",
        )
    """
    _check_restart(restart)
    now = joint_reading.get_fact(Containerd)
    if now is None:
        yield refuse(host, "cannot tell whether containerd runs, see the lines above")
        return
    if problem := other_runtime.problem(now["runtimes"], CONTAINERD, replace_runtime):
        yield refuse(host, problem)
        return
    if not now["installed"]["binary"]:
        if is_executing(host):
            yield refuse(host, _COMES_FIRST)
        else:
            yield later(host, "containerd will be enabled and started once it is installed")
        return
    state = _state(now)
    to_do = upkeep(state, change_driver_under_pods, restart)
    enabled = now["unit"]["enabled"] if now["unit"] else ""
    yield from kept_running(
        to_do,
        _daemon(now),
        f"containerd {now['installed']['version']} is {enabled}, active and serves CRI on "
        f"{now['socket']}",
        "containerd waits for a restart that puts "
        f"{', '.join(state.waits_for_restart) or 'its files'} in force",
    )
