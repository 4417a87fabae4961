"""Docker's settings: daemon.json and the flags of its unit.

Source: dockerd(8) "native.cgroupdriver".
"""

from __future__ import annotations

import json
import re

from kubenode.files import go_keys
from kubenode.files.cannot_tell import CannotTell
from kubenode.linux.cgroups import Statement, statement


def docker_driver(daemon_json: str | None, path: str, arguments: str) -> Statement | None:
    """Docker's statement of a cgroup driver: ``exec-opts`` of daemon.json, or ``--exec-opt``.

    + daemon_json: text of the file, None when there is none
    + path: its path
    + arguments: the daemon's command line, empty when unknown

    None when neither states one: Docker then takes systemd on cgroup v2, cgroupfs on v1. CannotTell
    when the file cannot be understood. Stating both is an error to dockerd itself, so their order
    does not matter.
    """
    # the option's name folds case (moby, daemon.getCD), the driver does not
    flag = re.search(r"--exec-opt[= ]native\.cgroupdriver=(\w+)", arguments, re.IGNORECASE)
    if flag:
        return statement(flag[1], "docker.service")
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
            return statement(value.strip(), path, daemon_json, r"(?i)native\.cgroupdriver")
    return None
