"""What has to be done to containerd's configuration, once it is known that it may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from packaging.version import Version

from kubenode.runtimes import cni
from kubenode.runtimes.containerd import handler_wishes
from kubenode.runtimes.containerd.all_files import edits_of
from kubenode.runtimes.containerd.document import DRIVER
from kubenode.runtimes.containerd.handlers import DEFAULT_TYPE, kind_of, unrecognised
from kubenode.runtimes.containerd.state import UNCLEAR_CONFIG, State
from kubenode.runtimes.containerd.wanted import ContainerdWanted
from kubenode.runtimes.edit import ConfigError, Edit


@dataclass(frozen=True)
class CniInForce:
    """Where containerd looks for CNI plugins, and what the network needs.

    + bin_dirs: the directories it looks in
    + plugins: what the network's configuration names
    + found: executables by directory
    """

    bin_dirs: tuple[str, ...]
    plugins: Sequence[str]
    found: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Plan:
    """What to change, or why not to.

    + edits: the files to change, by path; none when all is as wanted
    + blocked: why nothing may be changed
    + restarts: whether the daemon has to be restarted with the new files
    """

    edits: Mapping[str, Edit] = field(default_factory=dict)
    blocked: str | None = None
    restarts: bool = False


def plan(
    files: Mapping[str, bytes],
    version: Version | None,
    wanted: ContainerdWanted,
    state: State,
    cni_now: CniInForce | None = None,
    unreadable: Sequence[str] = (),
    change_driver_under_pods: bool = False,
    found: Mapping[str, bool] | None = None,
) -> Plan:
    """
    The files to change and whether that takes a restart, or why nothing may be changed.

    + files: content of the main file and of what it may import, by path
    + version: containerd's; None when it is not known
    + wanted: the settings
    + state: what else the host says of its containerd
    + cni_now: what it says of CNI, where directories are wanted; None is nothing
    + unreadable: files of these that exist and could not be read
    + change_driver_under_pods: change the driver although pods of the other driver run
    + found: whether each program and file that wanted handlers need is on the host; one that is not
      in it is not known. None is nothing

    **Example:**

    .. code:: python

        plan(files, Version("2.1.9"), ContainerdWanted("systemd"), state).edits
    """
    problem = _unknown(version, state, unreadable)
    if problem is not None or version is None:
        return Plan(blocked=f"{problem}: nothing was changed")
    try:
        edits = edits_of(state.main, files, version, _with_cni(wanted, cni_now, version))
    except ConfigError as error:
        return Plan(blocked=f"{error}: nothing was changed")
    driver = wanted.cgroup_driver
    if not edits and not state.is_effective:
        return Plan(blocked=f"containerd does not read its files: {state.error}")
    if problem := _unfit(wanted, state, found or {}) or _loses_pods(edits, state):
        return Plan(blocked=f"{problem}: nothing was changed")
    if not edits:
        return Plan(blocked=state.still_wrong(driver))
    may_change_driver = not change_driver_under_pods and _may_change_driver(state, driver)
    if may_change_driver and (problem := state.pods_of_other_driver(driver)):
        return Plan(blocked=problem)
    unit = state.unit
    runs = unit is not None and unit.active in ("active", "activating", "reloading")
    return Plan(edits, restarts=runs)


def _unknown(version: Version | None, state: State, unreadable: Sequence[str]) -> str | None:
    """Why nothing certain can be said of the files, None when it can."""
    if state.error == UNCLEAR_CONFIG:
        return UNCLEAR_CONFIG
    if unreadable:
        return f"cannot read {', '.join(unreadable)}"
    if version is None:
        return "cannot tell containerd's version, and so not what it takes"
    if state.unit is not None and state.unit.load == "unknown":
        return "systemd does not answer, so it cannot be told whether containerd runs"
    if not state.has_ctr:
        return (
            "ctr is missing, which comes with containerd, and so the way to ask whether CRI serves"
        )
    return None


def _unfit(wanted: ContainerdWanted, state: State, found: Mapping[str, bool]) -> str | None:
    """Why pods of a handler would not start, None when they would."""
    defined = {"runc", *state.handlers, *wanted.handlers}
    gone = [name for name, settings in wanted.handlers.items() if settings is None]
    default = wanted.default_handler or state.default_handler or "runc"
    if default in gone:
        return (
            f"{default} is the default handler, so it cannot be removed: state another default "
            "(kubenode_containerd_default_handler)"
        )
    if wanted.default_handler is not None and default not in defined:
        return (
            f"the default handler {default} is not defined, but "
            f"{', '.join(sorted(defined.difference(gone)))}: define it "
            "(kubenode_containerd_handlers)"
        )
    missing = [
        f"handler {name}: {need.missing()}"
        if need.what in found
        else f"handler {name}: cannot tell whether {need.what} is on this host"
        for name, settings in wanted.handlers.items()
        for need in handler_wishes.needs_of(settings)
        if not found.get(need.what)
    ]
    if missing:
        return "; ".join(missing)
    settings = wanted.handlers.get(default)
    if settings is None:
        return state.unrecognised_default(wanted.default_handler or state.default_handler)
    # a type that is wanted is not the one that is in force
    kind = settings.get("runtime_type", DEFAULT_TYPE)
    if kind_of(default, kind, settings.get("options", {}).get(DRIVER)) == "unrecognised":
        return f"the default handler {default}: {unrecognised(kind)}"
    return None


def _loses_pods(edits: Mapping[str, Edit], state: State) -> str | None:
    """Why pods would be lost, None when they would not."""
    changed = {change.what for edit in edits.values() for change in edit.changes}
    if "root" not in changed or state.pods_count == 0:
        return None
    count = "it is not known how many" if state.pods_count is None else str(state.pods_count)
    return (
        f"root, where containerd keeps images and containers, would change under pods ({count} "
        "containers run): drain the node first"
    )


def _with_cni(
    wanted: ContainerdWanted, now: CniInForce | None, version: Version
) -> ContainerdWanted:
    """The same with the directories to configure, none when it is so already."""
    if wanted.cni_bin_dirs is None or now is None:
        return wanted
    chosen = cni.chosen(wanted.cni_bin_dirs, now.bin_dirs, now.plugins, now.found, version)
    return replace(wanted, cni_bin_dirs=None if chosen == now.bin_dirs else chosen)


def _may_change_driver(state: State, driver: str) -> bool:
    # A daemon whose CRI is disabled shows no handlers, and pods may run from before that. A restart
    # also puts in force what was edited before us.
    return not state.handlers or bool(state.wrong_handlers(driver)) or state.restart_pending != ()
