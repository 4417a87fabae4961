"""What has to be done to daemon.json and to cri-dockerd's flags, or why it may not be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubenode.runtimes.docker import cri_dockerd, daemon_json, flags
from kubenode.runtimes.docker.state import State
from kubenode.runtimes.docker.wanted import DockerWanted
from kubenode.runtimes.edit import ConfigError, Edit, SettingChange


@dataclass(frozen=True)
class Plan:
    """What to change, or why not to.

    + daemon: the edit of daemon.json; None: it stays
    + drop_in: text of cri-dockerd's drop-in; None: it stays
    + explained: what changes in cri-dockerd's flags
    + blocked: why nothing may be changed
    + warnings: what the user is told, a sentence each
    """

    daemon: Edit | None = None
    drop_in: str | None = None
    explained: tuple[str, ...] = ()
    blocked: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether both are as wanted."""
        return self.daemon is None and self.drop_in is None


class _Blocked(Exception):
    """Nothing may be changed."""


def plan(
    content: bytes | None,
    wanted: DockerWanted,
    state: State,
    change_driver_under_pods: bool = False,
) -> Plan:
    """
    The changes after which Docker Engine and cri-dockerd are as wanted, or why there are none.

    + content: of daemon.json, None when there is none
    + wanted: the settings
    + state: what the host says of them
    + change_driver_under_pods: change the driver although pods of the other driver run

    **Example:**

    .. code:: python

        plan(b"{}", DockerWanted("systemd"), state).daemon.text
    """
    try:
        document = _document(content, state)
        keys = _keys(document, wanted, state)
        edit = daemon_json.edited(document, keys, _driver(wanted, state))
        _check_driver_change(wanted, state, change_driver_under_pods)
        words = _words(wanted, state)
        drop_in = None if words == list(state.words) else cri_dockerd.drop_in(words)
    except _Blocked as blocked:
        return Plan(blocked=f"{blocked}: nothing was changed")
    except (ConfigError, ValueError) as error:
        return Plan(blocked=f"{error}: nothing was changed")
    return Plan(
        edit if edit.changes else None,
        drop_in,
        () if drop_in is None else tuple(_flag_changes(state.words, words)),
        warnings=tuple(_warnings(wanted, state)),
    )


def _document(content: bytes | None, state: State) -> daemon_json.Document:
    if state.distrusted:
        raise _Blocked(state.distrusted)
    if state.exists is None:
        raise _Blocked(f"cannot read {daemon_json.PATH}")
    if state.config_error:
        raise _Blocked(state.config_error)
    if not state.words:
        raise _Blocked(f"cannot tell from {state.service} how cri-dockerd is started")
    if state.in_both:
        names = ", ".join(state.in_both)
        raise _Blocked(
            f"{daemon_json.PATH} has {names}, and so has the command line of docker.service: "
            "dockerd does not start with both. Remove one of them (for the flag: a drop-in of "
            "docker.service with an empty ExecStart= first)"
        )
    if state.unknown_keys and not state.can_validate:
        names = ", ".join(state.unknown_keys)
        raise _Blocked(f"{daemon_json.PATH} has {names}, which dockerd does not know")
    return daemon_json.parse(daemon_json.PATH, content or b"")


def _driver(wanted: DockerWanted, state: State) -> str | None:
    """The driver that daemon.json has to state; None where a flag does."""
    if "exec-opts" not in flags.stated(state.flags or ()):
        return wanted.cgroup_driver
    if state.stated_driver != wanted.cgroup_driver:
        raise _Blocked(
            f"docker.service has --exec-opt, and so another cgroup driver than "
            f"{wanted.cgroup_driver}: remove the flag, as dockerd does not start where daemon.json "
            "has exec-opts too"
        )
    return None


def _keys(document: daemon_json.Document, wanted: DockerWanted, state: State) -> Mapping[str, Any]:
    if state.flags is None:
        raise _Blocked("cannot tell which flags docker.service has")
    words = state.flags
    # Fedora's unit has live-restore as a flag
    keys = {key: value for key, value in wanted.keys.items() if not flags.says(words, key, value)}
    if clash := flags.in_both(keys, state.flags):
        raise _Blocked(
            f"docker.service states {', '.join(clash)} as a flag: dockerd does not start where "
            f"{daemon_json.PATH} has it too. Remove the flag, or do not set it here"
        )
    if keys.get("live-restore") is True and state.swarm:
        raise _Blocked(
            "this Docker Engine is part of a Swarm, which live-restore excludes: leave the Swarm, "
            "or set kubenode_docker_live_restore to None"
        )
    return keys


def _check_driver_change(
    wanted: DockerWanted, state: State, change_driver_under_pods: bool
) -> None:
    if state.driver in (None, wanted.cgroup_driver) or change_driver_under_pods:
        return
    if problem := state.pods_of_other_driver(wanted.cgroup_driver):
        raise _Blocked(problem)


def _words(wanted: DockerWanted, state: State) -> list[str]:
    """The command line of cri-dockerd as it has to be."""
    flags_wanted: dict[str, str] = {}
    if wanted.pause_image is not None:
        flags_wanted[cri_dockerd.PAUSE_IMAGE] = wanted.pause_image
    if wanted.cni_bin_dirs is not None:
        current = cri_dockerd.in_force(state.words, cri_dockerd.CNI_BIN_DIR).split(",")
        directories = dict.fromkeys([*filter(None, current), *wanted.cni_bin_dirs])
        flags_wanted[cri_dockerd.CNI_BIN_DIR] = ",".join(directories)
    if cri_dockerd.in_force(state.words, cri_dockerd.NETWORK_PLUGIN) != "cni":
        flags_wanted[cri_dockerd.NETWORK_PLUGIN] = "cni"
    new = {
        name: value
        for name, value in flags_wanted.items()
        if (cri_dockerd.flag(state.words, name) or cri_dockerd.DEFAULTS.get(name)) != value
    }
    words = cri_dockerd.with_flags(state.words, new) if new else list(state.words)
    # a drop-in may name the program of a package that is gone
    return [state.program or words[0], *words[1:]]


def _flag_changes(old: tuple[str, ...], new: list[str]) -> list[str]:
    names = (cri_dockerd.PAUSE_IMAGE, cri_dockerd.CNI_BIN_DIR, cri_dockerd.NETWORK_PLUGIN)
    return [
        f"cri-dockerd: {change}"
        for change in (
            SettingChange(f"--{name}", cri_dockerd.flag(old, name), cri_dockerd.flag(new, name))
            for name in names
        )
        if change.old != change.new
    ]


def _warnings(wanted: DockerWanted, state: State) -> list[str]:
    storage = wanted.storage_driver
    if storage is None or state.storage_driver in (None, storage):
        return []
    return [
        f"the storage driver {state.storage_driver} -> {storage}: images and containers of the old "
        "one are not seen any more, and stay on the disk"
    ]
