"""What Docker, CRI-O and kubelet say about their cgroup driver, read from their files.

Sources: dockerd(8) "native.cgroupdriver"; crio.conf(5) "cgroup_manager"; the Kubernetes pages
"Configuring a cgroup driver" and "Set Kubelet parameters via a configuration file" (drop-ins are
applied over the file in order of their names, flags over all).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from kubenode.files import go_keys, go_yaml, toml_text

Driver = Literal["systemd", "cgroupfs"]


class Statement(NamedTuple):
    """A place that states a driver."""

    file: str
    line: int | None
    driver: Driver


class CannotTell(Exception):
    """A file that decides the driver and cannot be understood: ``FILE: reason``."""


def _driver(value: object, file: str) -> Driver:
    if value in ("systemd", "cgroupfs"):
        return value
    # YAML's aliases can make a value whose text has no end
    shown = (
        repr(value[:60]) if isinstance(value, str) else f"a value of type {type(value).__name__}"
    )
    raise CannotTell(f"{file}: {shown} is no cgroup driver")


def _line_of(text: str, pattern: str) -> int | None:
    found = re.search(pattern, text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else None


def docker(daemon_json: str | None, path: str, arguments: str) -> Statement | None:
    """Docker's statement: ``exec-opts`` of daemon.json, or ``--exec-opt`` of its unit.

    + daemon_json: text of the file, None when there is none
    + path: its path
    + arguments: the daemon's command line, empty when unknown

    None when neither states one: Docker then takes systemd on cgroup v2, cgroupfs on v1. Stating
    both is an error to dockerd itself, so their order does not matter.
    """
    # the option's name folds case (moby, daemon.getCD), the driver does not
    flag = re.search(r"--exec-opt[= ]native\.cgroupdriver=(\w+)", arguments, re.IGNORECASE)
    if flag:
        return Statement("docker.service", None, _driver(flag[1], "docker.service"))
    if daemon_json is None or not daemon_json.strip():
        return None
    try:
        settings = json.loads(daemon_json)
        options = settings.get("exec-opts", [])
    except (ValueError, AttributeError, RecursionError) as error:
        raise CannotTell(f"{path}: {error}") from error
    for key in go_keys.any_case("exec-opts", settings):
        if key != "exec-opts":
            raise CannotTell(f"{path}: dockerd does not start with the key {key[:40]!r}")
    if not isinstance(options, list):
        raise CannotTell(f"{path}: exec-opts is not a list")
    for option in options:
        name, _, value = str(option).partition("=")
        if name.strip().lower() == "native.cgroupdriver":
            line = _line_of(daemon_json, r"(?i)native\.cgroupdriver")
            return Statement(path, line, _driver(value.strip(), path))
    return None


_MOST_CRIO = 128 * 1024
"""Of all its files: the whole of its settings has 25 KiB."""


def crio(files: Iterable[tuple[str, str]]) -> Statement | None:
    """CRI-O's statement: the last ``cgroup_manager`` of crio.conf and its drop-ins.

    + files: path and text, in the order CRI-O reads them

    None when no file states one: CRI-O then takes systemd.
    """
    statement = None
    left = _MOST_CRIO
    for path, text in files:
        try:
            left -= len(text)
            if left < 0:
                raise ValueError(f"CRI-O's files are longer than {_MOST_CRIO // 1024} KiB")
            manager: Any = toml_text.loads(text)
        except (ValueError, RecursionError) as error:
            raise CannotTell(f"{path}: {error}") from error
        for name in ("crio", "runtime", "cgroup_manager"):
            if not isinstance(manager, dict):
                raise CannotTell(f"{path}: what holds {name} is not a table")
            keys = go_keys.any_case(name, manager)
            if len({repr(manager[key]) for key in keys}) > 1:
                raise CannotTell(f"{path}: {' and '.join(keys)} are one key to CRI-O: keep one")
            manager = manager[keys[0]] if keys else {} if name != "cgroup_manager" else None
        if manager is not None:
            line = _line_of(text, r"(?i)^[^#\n]*\bcgroup_manager\b")
            statement = Statement(path, line, _driver(manager, path))
    return statement


def kubelet(
    files: Iterable[tuple[str, str]], flag: str | None, stated_in: tuple[str, str | None]
) -> Statement | None:
    """kubelet's statement: its flag over drop-ins over the configuration file.

    + files: path and text of the configuration file and then its drop-ins in order
    + flag: the value of ``--cgroup-driver``, None when it is not given
    + stated_in: where the flag is stated, and the text of that file when it is one

    None when none states one: kubelet then takes cgroupfs, or asks the runtime
    (KubeletCgroupDriverFromCRI, from 1.34 on by default).
    """
    if flag is not None:
        place, flag_text = stated_in
        line = _line_of(flag_text, r"^[^#\n]*--cgroup[-_]driver") if flag_text else None
        return Statement(place, line, _driver(flag, place))
    statement = None
    for path, text, settings in _yaml(files):
        value = settings.get("cgroupDriver")
        if value not in (None, ""):
            statement = Statement(
                path, _line_of(text, r"^[^#\n]*\bcgroupDriver\b"), _driver(value, path)
            )
    return statement


def kubelet_settings(files: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """kubelet's top-level settings: drop-ins over the configuration file.

    + files: path and text of the configuration file and then its drop-ins in order

    A setting that is null is none: the default counts. CannotTell when one of the files is not a
    mapping in YAML, see :mod:`kubenode.files.go_yaml`.
    """
    merged: dict[str, Any] = {}
    for _, _, settings in _yaml(files):
        for name, value in settings.items():
            old = merged.pop(name, None)
            if isinstance(old, dict) and isinstance(value, dict):
                value = {**old, **value}
            if value is not None:
                merged[name] = value
    return merged


def _yaml(files: Iterable[tuple[str, str]]) -> list[tuple[str, str, dict[str, Any]]]:
    """Path, text and settings of each file."""
    found = []
    left = go_yaml.MOST_CHARACTERS
    for path, text in files:
        left -= len(text)
        if left < 0:
            most = go_yaml.MOST_CHARACTERS // 1024
            raise CannotTell(f"{path}: kubelet's files are longer than {most} KiB, and not read")
        try:
            found.append((path, text, go_yaml.mapping(text)))
        except go_yaml.YamlError as error:
            raise CannotTell(f"{path}: {error}") from error
    return found
