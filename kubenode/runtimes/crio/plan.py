"""What has to be done to CRI-O's configuration, or why nothing may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from packaging.version import Version

from kubenode.files.toml_text import Path, dotted, literal
from kubenode.runtimes.crio import config as crio
from kubenode.runtimes.crio import handlers, own_file, releases
from kubenode.runtimes.crio.config import CrioConfig, Setting
from kubenode.runtimes.crio.state import State
from kubenode.runtimes.crio.wanted import POD, CrioWanted, monitor_trouble
from kubenode.runtimes.edit import ConfigError, Edit

RELOADED = frozenset(
    {
        crio.PAUSE_IMAGE,
        ("crio", "runtime", "log_level"),
        ("crio", "runtime", "log_filter"),
        ("crio", "image", "pinned_images"),
        ("crio", "image", "pause_image_auth_file"),
        ("crio", "image", "pause_command"),
        ("crio", "runtime", "decryption_keys_path"),
        ("crio", "runtime", "seccomp_profile"),
        ("crio", "runtime", "apparmor_profile"),
        ("crio", "runtime", "blockio_config_file"),
        ("crio", "runtime", "rdt_config_file"),
    }
)
"""Settings that a running CRI-O takes at SIGHUP; all others it takes when it starts.

CRI-O says of handlers and ``default_runtime`` that it has reloaded them, and shows the new ones in
``crio status config``. New pods get the old ones all the same, until a restart: the server reloads
a copy of its settings, and what makes containers has another one (seen on 1.36.3).

Source: ``pkg/config/reload.go``; ``server/server.go`` "config: *config"."""


@dataclass(frozen=True)
class CrioPlan:
    """What to change, or why not to.

    + edit: of kubenode's own file; None when all is as wanted
    + links: whether the link to it is missing
    + blocked: why nothing may be changed
    + applied_by: what gives a daemon that runs the new settings; None when none runs
    """

    edit: Edit | None = None
    links: bool = False
    blocked: str | None = None
    applied_by: Literal["restart", "reload"] | None = None


class _Blocked(Exception):
    """Nothing may be changed."""


def plan(
    files: Mapping[str, str],
    link: str | None,
    version: Version | None,
    wanted: CrioWanted,
    state: State,
    unreadable: Sequence[str] = (),
    change_driver_under_pods: bool = False,
) -> CrioPlan:
    """
    The edit of kubenode's own file and what applies it, or why nothing may be changed.

    + files: text of CRI-O's files and of kubenode's own file, by path
    + link: where the link in crio.conf.d leads; None: there is none
    + version: CRI-O's; None when it is not known
    + wanted: the settings
    + state: what else the host says of its CRI-O
    + unreadable: files of these that exist and could not be read
    + change_driver_under_pods: change the driver although pods of the other driver run

    A setting that the files state as wanted, wherever, is left there. Otherwise it goes into
    kubenode's file. One that a file behind it states otherwise blocks, with its place.

    **Example:**

    .. code:: python

        plan(files, None, Version("1.36.3"), CrioWanted("systemd"), state).edit
    """
    try:
        return _plan(files, link, version, wanted, state, unreadable, change_driver_under_pods)
    except (_Blocked, ConfigError) as why:
        return CrioPlan(blocked=f"{why}: nothing was changed")


def _plan(
    files: Mapping[str, str],
    link: str | None,
    version: Version | None,
    wanted: CrioWanted,
    state: State,
    unreadable: Sequence[str],
    change_driver_under_pods: bool,
) -> CrioPlan:
    _refuse_unknown(version, state, unreadable)
    if link not in (None, own_file.TARGET, own_file.FILE):
        raise _Blocked(f"{own_file.LINK} is not kubenode's link to {own_file.FILE}: rename it")
    own = files.get(own_file.FILE, "")
    # before there is the link CRI-O does not read kubenode's file
    read = {path: text for path, text in files.items() if path != own_file.FILE}
    if link is not None:
        read[own_file.LINK] = own
    now = crio.merged((path, read[path]) for path in crio.order(read))
    own_handlers = handlers.values_of(now, wanted.handlers)
    of_all = _values(now, version, wanted)
    values = {**of_all, **own_handlers}
    edit = own_file.edited(own, values)
    then = crio.merged(
        (path, edit.text if path == own_file.LINK else text)
        for path, text in ((path, read.get(path, "")) for path in crio.order({**read, **_LINKED}))
    )
    _refuse_overruled(then, of_all)
    if problem := handlers.overruled(then, own_handlers):
        raise _Blocked(f"{problem}, and is read behind {own_file.LINK}: say it there")
    _refuse_invalid(then, version, wanted)
    if not values or (not edit.changes and link is not None):
        return CrioPlan()
    if crio.CGROUP_MANAGER in values and not change_driver_under_pods:
        running = state.pods_of_other_driver(wanted.cgroup_driver)
        if running:
            raise _Blocked(running)
    return CrioPlan(
        edit,
        links=link is None,
        applied_by=_applied_by(values, state),
    )


_LINKED = {own_file.LINK: ""}


def _refuse_unknown(version: Version | None, state: State, unreadable: Sequence[str]) -> None:
    if unreadable:
        raise _Blocked(f"cannot read {', '.join(unreadable)}")
    if version is None:
        raise _Blocked("cannot tell CRI-O's version, and so not what it takes")
    if state.unit is not None and state.unit.load == "unknown":
        raise _Blocked("systemd does not answer, so it cannot be told whether CRI-O runs")
    if state.flags:
        raise _Blocked(
            f"{'; '.join(state.flags)}: CRI-O's command line wins over its files, so say it in "
            f"{crio.MAIN} or a drop-in instead"
        )


def _values(
    now: CrioConfig, version: Version | None, wanted: CrioWanted
) -> dict[Path, str | list[str]]:
    """The settings that the files do not state as wanted."""
    words: dict[Path, str | None] = {
        crio.CGROUP_MANAGER: wanted.cgroup_driver,
        crio.PAUSE_IMAGE: wanted.pause_image,
        crio.DEFAULT_RUNTIME: wanted.default_runtime,
        crio.CONMON_CGROUP: _monitor_cgroup(now, wanted),
    }
    values: dict[Path, str | list[str]] = {
        path: value
        for path, value in words.items()
        if value is not None and now.value(path) != value
    }
    if wanted.cni_bin_dirs is not None:
        there = now.value(crio.PLUGIN_DIRS)
        current = list(releases.DEFAULT_PLUGIN_DIRS) if there is None else list(there)
        if missing := [path for path in wanted.cni_bin_dirs if path not in current]:
            values[crio.PLUGIN_DIRS] = [*current, *missing]
    return values


def _monitor_cgroup(now: CrioConfig, wanted: CrioWanted) -> str | None:
    """What ``conmon_cgroup`` has to say, None when what there is will do."""
    if wanted.monitor_cgroup is not None:
        is_so = all(
            (each := now.monitor_cgroup(name)) is not None and each.value == wanted.monitor_cgroup
            for name in now.handlers
        )
        return None if is_so and now.handlers else wanted.monitor_cgroup
    if wanted.cgroup_driver == "cgroupfs":
        # what is right for systemd ends the start with cgroupfs
        stated = list(now.monitor_cgroups)
        is_right = stated and all(each.value == POD for each in stated)
        return None if is_right else POD
    return None


def _refuse_overruled(then: CrioConfig, values: Mapping[Path, object]) -> None:
    for path, value in values.items():
        setting = then.get(path)
        if setting is None or setting.value != value:
            where = str(setting) if setting else own_file.LINK
            raise _Blocked(
                f"{where} states {dotted(path)} = {literal(setting.value) if setting else '-'} and "
                f"is read behind {own_file.LINK}: rename that file, or say it there"
            )


def _refuse_invalid(then: CrioConfig, version: Version | None, wanted: CrioWanted) -> None:
    """What CRI-O itself says only when it starts."""
    for setting in then.monitor_cgroups:
        if problem := monitor_trouble(str(setting.value), wanted.cgroup_driver):
            raise _Blocked(f"{setting}: monitors in {setting.value!r}, and {problem}")
    default = then.value(crio.DEFAULT_RUNTIME)
    built_in = releases.release_of(version).default_runtime
    if default and default not in then.handlers and default != built_in:
        raise _Blocked(
            f"{then.get(crio.DEFAULT_RUNTIME)}: default_runtime {default!r} has no table "
            f"[crio.runtime.runtimes.{default}]"
        )


def _applied_by(values: Mapping[Path, object], state: State) -> Literal["restart", "reload"] | None:
    if state.unit is None or not state.unit.runs:
        return None
    if values.keys() <= RELOADED and not state.restart_pending and state.cri == "serving":
        return "reload"
    return "restart"


def overridden(config: CrioConfig, live: CrioConfig) -> dict[Path, tuple[Setting, object]]:
    """Settings of which a running CRI-O does not have what its files say.

    + config: what the files say together
    + live: what ``crio status config`` says of the daemon

    Handlers are not compared: CRI-O fills in what their tables leave out.
    """
    found: dict[Path, tuple[Setting, object]] = {}
    for path, setting in config.settings.items():
        has = live.get(path)
        if has is not None and has.value != setting.value:
            found[path] = (setting, has.value)
    return found
