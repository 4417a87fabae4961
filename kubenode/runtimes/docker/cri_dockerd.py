"""cri-dockerd: it has no file, only flags, which a drop-in of its unit states.

Source: Mirantis/cri-dockerd, config/options.go, cmd/cri/options/options.go and packaging/systemd.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

UNITS = ("cri-docker.service", "cri-dockerd.service")
"""The packages' name, and kubespray's."""
SOCKETS: Mapping[str, str] = {
    "cri-docker.service": "cri-docker.socket",
    "cri-dockerd.service": "cri-dockerd.socket",
}

PROGRAM = "/usr/bin/cri-dockerd"
SOCKET = "/run/cri-dockerd.sock"
PAUSE_IMAGE = "pod-infra-container-image"
CNI_BIN_DIR = "cni-bin-dir"
CNI_CONF_DIR = "cni-conf-dir"
NETWORK_PLUGIN = "network-plugin"
ENDPOINT = "container-runtime-endpoint"

DEFAULTS: Mapping[str, str] = {
    CNI_BIN_DIR: "/opt/cni/bin",
    CNI_CONF_DIR: "/etc/cni/net.d",
    NETWORK_PLUGIN: "cni",
    ENDPOINT: f"unix:///var{SOCKET}",
}
"""Of those flags that decide about a node; ``network-plugin`` is cni since 0.2.5."""

_HEAD = "# Written by kubenode: what is changed here is replaced.\n"
# what systemd leaves in a line of a file as it is
_PLAIN = re.compile(r"[!#-&(-\[\]-~]+")


def drop_in_of(unit: str) -> str:
    """The path of kubenode's drop-in.

    + unit: of :data:`UNITS`
    """
    return f"/etc/systemd/system/{unit}.d/kubenode.conf"


def words_of(start: str) -> list[str]:
    """The words of a command line in ``ExecStart`` as ``systemctl show`` prints it, and program.

    + start: the property's value
    """
    arguments, semicolon, _ = start.partition("argv[]=")[2].partition(" ;")
    return arguments.split() if semicolon else []


def flag(words: Sequence[str], name: str) -> str | None:
    """The value of a flag, the last one; None where it is not stated.

    + words: of the command line
    + name: without its dashes
    """
    found = None
    for place, word in enumerate(words):
        own, equals, value = word.partition("=")
        if own.lstrip("-") != name or not own.startswith("-"):
            continue
        if equals:
            found = value
        elif place + 1 < len(words):
            found = words[place + 1]
    return found


def in_force(words: Sequence[str], name: str) -> str:
    """The value of a flag of :data:`DEFAULTS`, stated or not.

    + words: of the command line
    + name: without its dashes
    """
    value = flag(words, name)
    return DEFAULTS[name] if value is None else value


def with_flags(words: Sequence[str], wanted: Mapping[str, str]) -> list[str]:
    """A command line with these flags; the others stay, and their order.

    + words: of it, its program first
    + wanted: value by flag
    """
    kept: list[str] = []
    skip = False
    for place, word in enumerate(words):
        if skip:
            skip = False
            continue
        own, equals, _ = word.partition("=")
        if place and own.startswith("-") and own.lstrip("-") in wanted:
            skip = not equals
            continue
        kept.append(word)
    return [*kept, *(f"--{name}={value}" for name, value in wanted.items())]


def drop_in(words: Sequence[str]) -> str:
    """The text of a drop-in that starts cri-dockerd so; ValueError where a word cannot be in it.

    + words: its program first
    """
    for word in words:
        if not _PLAIN.fullmatch(word):
            raise ValueError(f"{word[:60]!r} of its command line is no plain word")
    line = " ".join(word.replace("%", "%%") for word in words)
    return f"{_HEAD}[Service]\nExecStart=\nExecStart={line}\n"


def socket_of(words: Sequence[str], listens: Sequence[str]) -> str:
    """The path where cri-dockerd answers.

    + words: of its command line
    + listens: paths that its socket unit listens on
    """
    if not words:
        return listens[0] if listens else SOCKET
    endpoint = in_force(words, ENDPOINT)
    if endpoint.startswith("fd://"):
        return listens[0] if listens else SOCKET
    return endpoint.removeprefix("unix://")
