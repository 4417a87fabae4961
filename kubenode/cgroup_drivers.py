"""What Docker, CRI-O and kubelet say about their cgroup driver, read from their files.

Sources: dockerd(8) "native.cgroupdriver"; crio.conf(5) "cgroup_manager"; the Kubernetes pages
"Configuring a cgroup driver" and "Set Kubelet parameters via a configuration file" (drop-ins are
applied over the file in order of their names, flags over all).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

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
    flag = re.search(r"--exec-opt[= ]native\.cgroupdriver=(\w+)", arguments)
    if flag:
        return Statement("docker.service", None, _driver(flag[1], "docker.service"))
    if daemon_json is None or not daemon_json.strip():
        return None
    try:
        options = json.loads(daemon_json).get("exec-opts", [])
    except (ValueError, AttributeError, RecursionError) as error:
        raise CannotTell(f"{path}: {error}") from error
    if not isinstance(options, list):
        raise CannotTell(f"{path}: exec-opts is not a list")
    for option in options:
        name, _, value = str(option).partition("=")
        if name == "native.cgroupdriver":
            return Statement(
                path, _line_of(daemon_json, r"native\.cgroupdriver"), _driver(value, path)
            )
    return None


def crio(files: Iterable[tuple[str, str]]) -> Statement | None:
    """CRI-O's statement: the last ``cgroup_manager`` of crio.conf and its drop-ins.

    + files: path and text, in the order CRI-O reads them

    None when no file states one: CRI-O then takes systemd.
    """
    statement = None
    for path, text in files:
        try:
            runtime = tomllib.loads(text).get("crio", {}).get("runtime", {})
            manager = runtime.get("cgroup_manager")
        except (ValueError, AttributeError, RecursionError) as error:
            raise CannotTell(f"{path}: {error}") from error
        if manager is not None:
            statement = Statement(
                path, _line_of(text, r"^[^#\n]*\bcgroup_manager\b"), _driver(manager, path)
            )
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
    for path, text in files:
        for document in _yaml(path, text):
            value = document.get("cgroupDriver")
            if value not in (None, ""):
                statement = Statement(
                    path, _line_of(text, r"^[^#\n]*\bcgroupDriver\b"), _driver(value, path)
                )
    return statement


def kubelet_settings(files: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """kubelet's top-level settings: drop-ins over the configuration file.

    + files: path and text of the configuration file and then its drop-ins in order

    CannotTell when one of them is not a mapping in YAML.
    """
    return {
        name: value
        for path, text in files
        for document in _yaml(path, text)
        for name, value in document.items()
        if isinstance(name, str)
    }


def _yaml(path: str, text: str) -> list[dict[str, Any]]:
    # A few lines of merge keys multiply to more than a machine holds; kubelet's files have none.
    if "<<" in text:
        raise CannotTell(f"{path}: has YAML merge keys (<<)")
    # slow to import, and a host without kubelet has nothing for it
    from ruamel.yaml import YAML

    try:
        documents = list(YAML(typ="safe", pure=True).load_all(text))
    # Scalars that are not of their type raise whatever their conversion raises: IndexError, ...
    except Exception as error:
        raise CannotTell(f"{path}: {' '.join(str(error).split())}") from error
    if not all(isinstance(document, dict) for document in documents if document is not None):
        raise CannotTell(f"{path}: not a mapping of settings")
    return [document for document in documents if document]
