"""Install containerd, configure it for Kubernetes, and keep it running."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal, NamedTuple, TypedDict

from packaging.version import Version
from pyinfra import host, logger
from pyinfra.api import FunctionCommand, OperationValueError, StringCommand, operation
from pyinfra.operations import apt, dnf, zypper

from kubenode.facts.containerd import (
    CRICTL_CONFIG,
    UNCLEAR_CONFIG,
    CniShape,
    Containerd,
    ContainerdFiles,
    ContainerdFilesShape,
    ContainerdPackage,
    ContainerdShape,
    InstalledShape,
    PackageShape,
    UnprovenShape,
)
from kubenode.facts.platform import Platform
from kubenode.files import host_lock, whole_file
from kubenode.linux.unit import can_be_enabled, starts_at_boot, why_not_at_boot
from kubenode.packages import package_locks
from kubenode.run import asked
from kubenode.run.pyinfra_internals import is_executing, nested
from kubenode.run.telling import explain, explain_file, later, refuse
from kubenode.runtimes import cni, other_runtimes
from kubenode.runtimes.cgroup_drivers import Driver
from kubenode.runtimes.config_swap import start, swap, undo
from kubenode.runtimes.containerd import plan, releases
from kubenode.runtimes.containerd.config import ConfigError, Edit, Wanted, unrecognised
from kubenode.runtimes.crictl import CrictlConfigError, pointed_at
from kubenode.wire import joint_reading
from kubenode.wire.bounded import INSTALL_SECONDS, RESTART_SECONDS, bounded

Commands = Generator[StringCommand | FunctionCommand, Any, None]


_PACKAGE = "containerd"

_HOLD = {
    "apt-get": "apt-mark hold {}",
    "dnf": "dnf versionlock add {}",
    "zypper": "zypper --non-interactive addlock {}",
}

# where pyinfra's own operations cannot be had
_INSTALL = {
    "apt-get": (
        "DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Options::=--force-confdef "
        "-o Dpkg::Options::=--force-confold install --no-install-recommends --allow-downgrades "
        "{options} {package}",
    ),
    "dnf": ("dnf install -y {package}",),
    "zypper": ("zypper --non-interactive install -y {package}",),
}

# files that the administrator has changed stay, as in apt.packages
_FINISH_DPKG = "DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --configure -a"

# A package that dpkg was stopped at while it unpacked (H, or R: reinstallation required) is not
# installed, and "apt-get install" calls it the newest version and does nothing.
_UNPACK_AGAIN = """
left=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n' | sed -n 's/^\\(.H.\\|..R\\) //p') &&
{ [ -z "$left" ] || DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Options::=--force-confdef \\
  -o Dpkg::Options::=--force-confold --allow-change-held-packages --reinstall install $left; }
""".strip()


def _other_runtime(shape: other_runtimes.RuntimesShape) -> str | None:
    """Why containerd must not be touched beside the runtime that a host has; None when it may."""
    problem = other_runtimes.refusal(shape)
    return f"{': '.join(problem)}: nothing was changed" if problem else None


@operation()
@bounded(INSTALL_SECONDS)
def installed(
    version: str | None = None,
    hold: bool = True,
    source: Literal["distribution"] = "distribution",
) -> Commands:
    """
    Install containerd, unless it is there already, from whatever source.

    + version: exact package version to install, such as ``1.7.24~ds1-6+deb13u1``; None takes what
      the source offers and leaves an installed one alone
    + hold: keep the package manager from upgrading it: an unattended upgrade would restart the
      runtime (kubespray#7276, moby#48179). False leaves a hold as it is
    + source: where it comes from. ``distribution`` is the distribution's own ``containerd`` package
      by apt, dnf or zypper

    A ``containerd.io`` package or a binary without a package counts as installed: kubenode does not
    replace a runtime that somebody chose. With ``version`` given, either is an error of that host.
    A package that dpkg has unpacked and not configured, since it was killed or the power went, does
    not count: what dpkg began is finished first (``dpkg --configure -a``, as apt asks for). Another
    process that changes packages (unattended-upgrades, cloud-init) is waited for, at most 300 s.
    A host where another runtime is in use is refused, see :mod:`kubenode.runtimes.other_runtimes`.
    An apt source that does not answer, or is not signed, is a warning with apt's own words, and an
    error only where containerd cannot be installed without it.

    **Example:**

    .. code:: python

        containerd.installed(
            name="Install containerd and keep its version",
            hold=True,
        )
    """
    if source != "distribution":
        raise OperationValueError(f"source {source!r}: only 'distribution' is known")
    try:
        releases.check_package_version(version)
    except ValueError as error:
        raise OperationValueError(f"version {error}") from error

    now = joint_reading.get_fact(ContainerdPackage)
    if now is None:
        yield refuse(host, "cannot tell whether containerd is installed, see the lines above")
        return
    if problem := _other_runtime(now["runtimes"]):
        yield refuse(host, problem)
        return

    package = now["package"]
    if version is not None and now["binary"] and (package is None or package["name"] != _PACKAGE):
        yield refuse(
            host,
            f"containerd {now['version']} at {now['binary']} is not from the package {_PACKAGE}, "
            f"so it cannot become {version}: remove it first, or do not ask for a version",
        )
        return
    install = (
        not now["binary"]
        or (package is not None and not package["configured"])
        or (version is not None and not _is_version(package, version))
    )
    is_held = package is not None and package["held"]
    want_hold = hold and not is_held
    if not install and (not want_hold or package is None):
        host.noop(f"containerd is installed: {_describe(now)}")
        return

    platform = joint_reading.get_fact_now(Platform)
    manager = platform["package_manager"] if platform else None
    if manager is None:
        yield refuse(
            host, "no known package manager (apt-get, dnf, zypper): install containerd yourself"
        )
        return
    at_work = now["dpkg_at_work"] if install else None
    finish = bool(install and (at_work or now["dpkg_interrupted"]))
    # a package that is installed again loses its hold
    want_hold = want_hold or (is_held and finish)
    held_name = package["name"] if package and not install else _PACKAGE
    # pyinfra, while it prepares, goes no further than the first command
    if at_work:
        explain(host, f"wait for process {at_work}, which changes packages")
    if finish and now["dpkg_interrupted"]:
        explain(
            host,
            "dpkg was interrupted: it finishes what it began (dpkg --configure -a), and what it "
            "has unpacked in part is installed again",
        )
    if install:
        if manager == "apt-get":
            explain(host, "fetch the lists of packages (apt-get update)")
        explain(
            host,
            f"install {_PACKAGE} {version or ''}".rstrip()
            + f" with {manager} (was: {_describe(now)})",
        )
    if want_hold:
        explain(host, f"hold {held_name}: upgrades leave it alone")

    if finish:
        yield package_locks.patiently(manager, _FINISH_DPKG)
    if install:
        yield from _install(manager, version, unpack_again=finish)
    if want_hold:
        yield package_locks.patiently(manager, _HOLD[manager].format(shlex.quote(held_name)))


def _install(manager: str, version: str | None, unpack_again: bool = False) -> Commands:
    separator = "-" if manager == "dnf" else "="
    wanted = f"{_PACKAGE}{separator}{version}" if version else _PACKAGE
    # a held one may change
    options = f"-o DPkg::Lock::Timeout={package_locks.WAIT_SECONDS}" + (
        " --allow-change-held-packages" if version else ""
    )
    commands: Iterable[Any] | None
    if manager == "apt-get":
        may_change = " --allow-downgrades --allow-change-held-packages" if version else ""
        yield package_locks.with_lists_fetched(
            f"apt-get -s install --no-install-recommends{may_change} {shlex.quote(wanted)}"
        )
        if unpack_again:
            yield package_locks.patiently(manager, _UNPACK_AGAIN)
        commands = nested(
            apt.packages,
            packages=[wanted],
            no_recommends=True,
            allow_downgrades=version is not None,
            extra_install_args=options,
        )
    else:
        commands = nested(dnf.packages if manager == "dnf" else zypper.packages, packages=[wanted])
    if commands is None:
        commands = [
            command.format(options=options, package=shlex.quote(wanted))
            for command in _INSTALL[manager]
        ]
    for command in commands:
        yield package_locks.patiently(manager, str(command))


def _is_version(package: PackageShape | None, version: str) -> bool:
    # an RPM may be asked for by its version alone, without the release
    return package is not None and (
        package["version"] == version or package["version"].startswith(f"{version}-")
    )


def _describe(now: InstalledShape) -> str:
    if not now["binary"]:
        return "not installed"
    package = now["package"]
    origin = (
        f"package {package['name']} {package['version']}"
        + (", held" if package["held"] else "")
        + ("" if package["configured"] else ", not configured")
        if package
        else "from no package"
    )
    return f"{now['version'] or 'unknown version'} at {now['binary']}, {origin}"


@operation()
@bounded(RESTART_SECONDS)
def configured(
    cgroup_driver: Driver = "systemd",
    pause_image: str | None = None,
    snapshotter: str | None = None,
    registry_config_path: str | None = None,
    cni_bin_dirs: Sequence[str] | None = None,
    change_driver_under_pods: bool = False,
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
    + change_driver_under_pods: change the driver although pods of the other driver run. They keep
      running in the old place, kubelet then manages the new one: drain the node instead

    The files are edited structurally in the tables of their own version (2, 3 or 4); a version 1
    file becomes version 2. Files the main one imports are edited where they state the same
    settings, since they win over it.

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
        )
    """
    try:
        wanted = Wanted(
            cgroup_driver,
            pause_image,
            snapshotter,
            registry_config_path,
            None if cni_bin_dirs is None else cni.check_directories(cni_bin_dirs),
        )
    except ValueError as error:
        raise OperationValueError(str(error)) from error
    for other in asked.by_others(host, "containerd.configured", asdict(wanted)):
        if problem := _contradiction(other, asdict(wanted)):
            yield refuse(host, asked.contradiction(host, problem))
            return
    now = joint_reading.get_fact(ContainerdFiles)
    if now is None:
        yield refuse(host, "cannot tell how containerd is configured, see the lines above")
        return
    if problem := _other_runtime(now["runtimes"]):
        yield refuse(host, problem)
        return
    daemon = now["containerd"]
    if not daemon["installed"]["binary"]:
        if is_executing(host):
            yield refuse(host, "containerd is not installed: containerd.installed comes first")
        else:
            yield later(host, "containerd will be configured once it is installed")
        return

    unit = daemon["unit"]
    needs_reload = unit is not None and unit["needs_daemon_reload"]
    is_interrupted = now["unproven"] != []
    explained: _Plan | str | None = None
    if needs_reload or is_interrupted:
        explained = _explained_beforehand(now, wanted, change_driver_under_pods)
        if needs_reload:
            yield host_lock.under_lock("systemctl daemon-reload")
        if is_interrupted:
            yield undo(main=daemon["config"]["path"], **_daemon_of(daemon))
        settled = joint_reading.get_fact_now(ContainerdFiles)
        if settled is None:
            yield refuse(host, "cannot tell how containerd is configured, see the lines above")
            return
        now, daemon = settled, settled["containerd"]

    plan = _planned(now, wanted, change_driver_under_pods)
    if isinstance(plan, str):
        yield refuse(host, plan)
        return
    _warn_of_unrecognised(daemon)
    if not plan.edits and plan.crictl == plan.crictl_now:
        host.noop(_configured_already(daemon, cgroup_driver))
        return
    if plan != explained:
        _explain_plan(plan)
    if plan.edits:
        yield swap(
            {path: (plan.files.get(path), edit.text.encode()) for path, edit in plan.edits.items()},
            main=daemon["config"]["path"],
            restart=plan.restart,
            **_daemon_of(daemon),
        )
    if plan.crictl != plan.crictl_now:
        yield whole_file.change([whole_file.Change(CRICTL_CONFIG, plan.crictl_now, plan.crictl)])
    if not plan.edits:
        return

    # What was read before the change says nothing about what came of it.
    after = joint_reading.get_fact_now(Containerd)
    if after is None:
        yield refuse(host, "containerd was configured, and now its state cannot be read")
        return
    wrong = _wrong_handlers(after, cgroup_driver)
    if not after["effective"] or wrong:
        yield refuse(host, _still_wrong(after, wrong, cgroup_driver))


def _contradiction(other: dict[str, Any], mine: dict[str, Any]) -> str | None:
    """Of which setting two calls of this run want different things, None when of none."""
    for name, value in mine.items():
        if None not in (value, other[name]) and value != other[name]:
            return (
                f"containerd.configured is called twice in this run, with {name}={other[name]!r} "
                f"and with {name}={value!r}: each would undo the other, say the same in both "
                f"(kubenode_{name}, where one is kubenode.node.prepare) or remove one"
            )
    return None


def _cni_bin_dirs(
    now: CniShape, wanted: tuple[str, ...], version: Version
) -> tuple[str, ...] | None:
    """The directories to configure, None when it is so already."""
    current = tuple(now["bin_dirs"] or ())
    chosen = cni.chosen(wanted, current, now["plugins"], now["found"], version)
    return None if chosen == current else chosen


class _Plan(NamedTuple):
    """What has to be done, once it is known that it may be."""

    files: dict[str, bytes]
    edits: dict[str, Edit]
    crictl_now: bytes | None
    crictl: bytes
    restart: bool
    socket: str


def _planned(
    now: ContainerdFilesShape, wanted: Wanted, change_driver_under_pods: bool
) -> _Plan | str:
    """What has to be done, or why nothing may be."""
    daemon = now["containerd"]
    driver = wanted.cgroup_driver
    if problem := _cannot_configure(now):
        return f"{problem}: nothing was changed"
    files = {path: base64.b64decode(content) for path, content in now["files"].items()}
    crictl_now = None if now["crictl"] is None else base64.b64decode(now["crictl"])
    version = Version(str(daemon["installed"]["version"]))
    if wanted.cni_bin_dirs is not None:
        wanted = replace(
            wanted, cni_bin_dirs=_cni_bin_dirs(daemon["cni"], wanted.cni_bin_dirs, version)
        )
    try:
        edits = plan.plan(daemon["config"]["path"], files, version, wanted)
        crictl = pointed_at(crictl_now, daemon["socket"])
    except ConfigError as error:
        return f"{error}: nothing was changed"
    except CrictlConfigError as error:
        return f"{CRICTL_CONFIG}: {error}: nothing was changed"
    if not edits and not daemon["effective"]:
        return f"containerd does not read its files: {daemon['config']['error']}"
    if problem := _unrecognised_default(daemon):
        return f"{problem}: nothing was changed"
    if not edits and (wrong := _wrong_handlers(daemon, driver)):
        return _still_wrong(daemon, wrong, driver)
    pods = _pods_of_other_driver(daemon, driver) if edits or crictl != crictl_now else None
    # a restart also puts in force what was edited before us
    restarts_into_other = bool(edits) and daemon["restart_pending"] != []
    if (
        pods
        and not change_driver_under_pods
        and (_changes_driver(daemon, driver) or restarts_into_other)
    ):
        return pods
    unit = daemon["unit"]
    runs = unit is not None and unit["active"] in ("active", "activating", "reloading")
    return _Plan(files, edits, crictl_now, crictl, bool(edits) and runs, daemon["socket"])


def _explain_plan(plan: _Plan) -> None:
    for path, edit in plan.edits.items():
        for change in edit.changes:
            explain(host, f"{path}: {change}")
        old = plan.files[path].decode() if path in plan.files else None
        explain_file(host, path, old, edit.text)
    if plan.restart:
        explain(host, f"restart containerd and wait for CRI on {plan.socket}")
    if plan.crictl != plan.crictl_now:
        old = None if plan.crictl_now is None else plan.crictl_now.decode()
        explain_file(host, CRICTL_CONFIG, old, plan.crictl.decode())


def _explained_beforehand(
    now: ContainerdFilesShape, wanted: Wanted, change_driver_under_pods: bool
) -> _Plan | str | None:
    """Explain what is finished first, of a package's upgrade or an interrupted run, and what comes
    then. Returns the plan that was explained; the host is read again before it is followed."""
    unit = now["containerd"]["unit"]
    if unit is not None and unit["needs_daemon_reload"]:
        explain(host, "containerd.service changed on disk: reload systemd")
    if now["unproven"] != []:
        explain(host, _interrupted(now["unproven"]))
        explain(
            host,
            f"then {now['containerd']['config']['path']}, what it imports and {CRICTL_CONFIG} are "
            "read again, and changed where they are not as wanted",
        )
        return None
    plan = _planned(now, wanted, change_driver_under_pods)
    if isinstance(plan, str):
        explain(host, f"then the files are read again; as they are now: {plan}")
    else:
        _explain_plan(plan)
    return plan


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


class _Daemon(TypedDict):
    program: str
    socket: str


def _daemon_of(daemon: ContainerdShape) -> _Daemon:
    return {"program": str(daemon["installed"]["binary"]), "socket": daemon["socket"]}


def _cannot_configure(now: ContainerdFilesShape) -> str | None:
    """Why nothing certain can be said of the files, None when it can."""
    daemon = now["containerd"]
    if daemon["config"]["error"] == UNCLEAR_CONFIG:
        return UNCLEAR_CONFIG
    if now["unreadable"]:
        return f"cannot read {', '.join(now['unreadable'])}"
    if daemon["installed"]["version"] is None:
        return "cannot tell containerd's version, and so not what it takes"
    if daemon["unit"] is not None and daemon["unit"]["load"] == "unknown":
        return "systemd does not answer, so it cannot be told whether containerd runs"
    if not daemon["ctr"]:
        return (
            "ctr is missing, which comes with containerd, and so the way to ask whether CRI serves"
        )
    return None


def _unrecognised_default(daemon: ContainerdShape) -> str | None:
    """Why nobody can say which driver most pods would get, None when it can be said."""
    name = daemon["default_handler"] or ""
    handler = daemon["handlers"].get(name)
    if handler is None or handler["recognised"]:
        return None
    defined = handler["defined"]
    place = f"{defined['file']}:{defined['line']}: " if defined else ""
    return f"{place}the default handler {name}: {unrecognised(handler['runtime_type'])}"


def _configured_already(daemon: ContainerdShape, cgroup_driver: str) -> str:
    handlers = [name for name, handler in daemon["handlers"].items() if handler["cgroup_driver"]]
    return (
        f"{daemon['config']['path']} has the {cgroup_driver} cgroup driver for "
        f"{', '.join(handlers)}, CRI is on, {CRICTL_CONFIG} points at {daemon['socket']}"
    )


def _changes_driver(daemon: ContainerdShape, cgroup_driver: str) -> bool:
    # a daemon whose CRI is disabled shows no handlers, and pods may run from before that
    return not daemon["handlers"] or bool(_wrong_handlers(daemon, cgroup_driver))


def _wrong_handlers(daemon: ContainerdShape, cgroup_driver: str) -> list[str]:
    return [
        name
        for name, handler in daemon["handlers"].items()
        if handler["cgroup_driver"] not in (None, cgroup_driver)
    ]


def _pods_of_other_driver(daemon: ContainerdShape, cgroup_driver: str) -> str | None:
    """Why the driver must not change now, None when it may."""
    if daemon["pods"] is None:
        return "cannot tell whether pods run, and the cgroup driver would change under them"
    other: Driver = "cgroupfs" if cgroup_driver == "systemd" else "systemd"
    count = daemon["pods"][other]
    if not count:
        return None
    return (
        f"{count} containers of pods run with the {other} cgroup driver: drain the node first "
        f"(kubectl drain), or set change_driver_under_pods (kubenode_change_driver_under_pods)"
    )


def _still_wrong(after: ContainerdShape, wrong: list[str], cgroup_driver: str) -> str:
    if not after["effective"]:
        return f"containerd does not read its configuration any more: {after['config']['error']}"
    where = "; ".join(
        f"handler {name} has {after['handlers'][name]['cgroup_driver']}"
        + (
            f" from {stated['file']}:{stated['line']}"
            if (stated := after["handlers"][name]["stated"])
            else ""
        )
        for name in wrong
    )
    return f"containerd is configured, but not with {cgroup_driver} everywhere: {where}"


@operation()
@bounded(RESTART_SECONDS)
def running(change_driver_under_pods: bool = False) -> Commands:
    """
    Keep containerd enabled, running and serving CRI, with the configuration that is on disk.

    + change_driver_under_pods: restart a daemon whose configuration was edited although pods of
      the other cgroup driver run

    A daemon whose files were changed after it started is restarted; running containers stay (their
    shims hold them). So is one of which that cannot be told, as the host's clock was set back; the
    files get the time of now. The operation ends when CRI answers. A host where another runtime is
    in use is refused, see :mod:`kubenode.runtimes.other_runtimes`.

    **Example:**

    .. code:: python

        containerd.running(
            name="containerd serves CRI, also after the next boot",
        )
    """
    now = joint_reading.get_fact(Containerd)
    if now is None:
        yield refuse(host, "cannot tell whether containerd runs, see the lines above")
        return
    if problem := _other_runtime(now["runtimes"]):
        yield refuse(host, problem)
        return
    if not now["installed"]["binary"]:
        if is_executing(host):
            yield refuse(host, "containerd is not installed: containerd.installed comes first")
        else:
            yield later(host, "containerd will be enabled and started once it is installed")
        return
    unit = now["unit"]
    if unit is None or unit["load"] != "loaded":
        state = f"its unit is {unit['load']}" if unit else "systemd does not know it"
        yield refuse(host, f"containerd.service cannot be kept running: {state}")
        return
    if now["config"]["error"]:
        yield refuse(host, now["config"]["error"])
        return

    if not now["ctr"]:
        yield refuse(host, "ctr is missing, which comes with containerd: cannot ask CRI")
        return
    steps = []
    if unit["needs_daemon_reload"]:
        explain(host, "containerd.service changed on disk: reload systemd")
        steps.append("systemctl daemon-reload")
    starts = starts_at_boot(unit["enabled"], unit["wanted_by"])
    if not starts and not can_be_enabled(unit["enabled"]):
        why = why_not_at_boot("containerd.service", unit["enabled"], unit["wanted_by"])
        yield refuse(
            host, f"{why}: `systemctl add-wants multi-user.target containerd.service` makes it"
        )
        return
    if not starts:
        explain(
            host,
            f"containerd.service: {unit['enabled']} -> enabled (links in /etc/systemd/system)",
        )
        steps.append("systemctl enable containerd.service")
    if unit["active"] != "active":
        explain(host, f"containerd.service: {unit['active']} -> active")
        steps += ["systemctl reset-failed containerd.service", "systemctl start containerd.service"]
    elif now["restart_pending"] or now["clock_set_back"]:
        drivers = {handler["cgroup_driver"] for handler in now["handlers"].values()} - {None}
        pods = next(
            filter(None, (_pods_of_other_driver(now, str(driver)) for driver in drivers)), None
        )
        if pods and not change_driver_under_pods:
            yield refuse(host, f"containerd waits for a restart, and {pods}")
            return
        if changed := now["clock_set_back"]:
            explain(
                host,
                f"the clock was set back: whether containerd has read {', '.join(changed)} cannot "
                "be told; their time becomes now, and containerd is restarted",
            )
            # of a file, not of the socket: that is made when containerd starts
            quoted = [shlex.quote(path) for path in changed if path != now["socket"]]
            steps += [f"touch -c -- {' '.join(quoted)}"] if quoted else []
        else:
            changed = now["restart_pending"] or []
            explain(host, f"restart containerd: {', '.join(changed)} changed after it started")
        steps.append("systemctl restart containerd.service")
    elif now["cri"] == "disabled":
        yield refuse(
            host,
            "containerd runs without CRI: its plugin is disabled or failed, containerd.configured "
            "switches it on; otherwise see `journalctl -u containerd` on the host",
        )
        return
    elif now["cri"] != "serving":
        explain(host, f"containerd.service is active and CRI is {now['cri']}: wait for it")
        steps.append(":")
    if not steps:
        host.noop(
            f"containerd {now['installed']['version']} is {unit['enabled']}, active and serves CRI "
            f"on {now['socket']}"
        )
        return
    yield start(steps=steps, **_daemon_of(now))
