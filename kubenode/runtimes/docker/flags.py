"""dockerd's flags, and the keys of daemon.json that are the same option.

dockerd ends at its start where an option is both: "the following directives are specified both as
a flag and in the configuration file".

Source: moby, cmd/dockerd/config.go and config_unix.go, daemon/config/config.go
(findConfigurationConflicts).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from kubenode.files.cannot_tell import CannotTell
from kubenode.linux.environment_file import NAME, environment_file, split

CONFIG_FLAG = "config-file"

_OF_FLAG: Mapping[str, str] = {
    "H": "hosts",
    "host": "hosts",
    "D": "debug",
    "l": "log-level",
    "s": "storage-driver",
    "b": "bridge",
    "G": "group",
    "p": "pidfile",
    "g": "data-root",
    "graph": "data-root",
    "exec-opt": "exec-opts",
    "storage-opt": "storage-opts",
    "log-opt": "log-opts",
    "label": "labels",
    "dns-opt": "dns-opts",
    "registry-mirror": "registry-mirrors",
    "insecure-registry": "insecure-registries",
    "default-ulimit": "default-ulimits",
    "authorization-plugin": "authorization-plugins",
    "default-address-pool": "default-address-pools",
    "node-generic-resource": "node-generic-resources",
    "cdi-spec-dir": "cdi-spec-dirs",
    "default-network-opt": "default-network-opts",
    "host-gateway-ip": "host-gateway-ips",
}
"""Keys that are not named as their flags are."""

_SHORT_WITH_VALUE = "HlsbGpg"
# merged by dockerd (skipDuplicates)
_IN_BOTH = {"add-runtime", "runtimes"}
_OF_DISTRIBUTIONS = ("DOCKER_OPTS", "OPTIONS", "DOCKER_NETWORK_OPTIONS", "DOCKER_STORAGE_OPTIONS")

_KNOWN = """
    allow-direct-routing allow-nondistributable-artifacts api-cors-header authorization-plugins bip
    bip6 bridge bridge-accept-fwmark builder cdi-spec-dirs cgroup-parent cluster-advertise
    cluster-store cluster-store-opts containerd containerd-namespace containerd-plugin-namespace
    cpu-rt-period cpu-rt-runtime cri-containerd data-root debug default-address-pools
    default-cgroupns-mode default-gateway default-gateway-v6 default-init default-ipc-mode
    default-network-opts default-runtime default-shm-size default-stop-timeout default-ulimits
    deprecated-key-path dns dns-opts dns-search exec-opts exec-root experimental features
    firewall-backend fixed-cidr fixed-cidr-v6 graph group host-gateway-ip host-gateway-ips hosts
    http-proxy https-proxy icc init init-path insecure-registries ip ip-forward ip-forward-no-drop
    ip-masq ip6tables iptables ipv6 labels live-restore log-driver log-format log-level log-opts
    max-concurrent-downloads max-concurrent-uploads max-download-attempts metrics-addr
    min-api-version mtu network-control-plane-mtu network-diagnostic-port no-new-privileges no-proxy
    node-generic-resources oom-score-adjust pidfile proxies raw-logs registry-mirrors resolv-conf
    rootless runtimes seccomp-profile selinux-enabled shutdown-timeout storage-driver storage-opts
    swarm-default-advertise-addr swarm-raft-election-tick swarm-raft-heartbeat-tick tls tlscacert
    tlscert tlskey tlsverify userland-proxy userland-proxy-path userns-remap
    """
KNOWN = frozenset(_KNOWN.split())
"""Keys that some release from 20.10 on knows: dockerd does not start with any other."""


def stated(words: Sequence[str]) -> dict[str, list[str]]:
    """The options that a command line states, by the key of daemon.json, and their values.

    + words: of the command line, without the program
    """
    found: dict[str, list[str]] = {}
    waiting: str | None = None
    for word in words:
        if waiting is not None and not word.startswith("--"):
            found[waiting].append(word)
            waiting = None
            continue
        waiting = None
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
        elif word.startswith("-") and len(word) > 1:
            name, value = word[1], word[2:].removeprefix("=")
            equals = "=" if value or name not in _SHORT_WITH_VALUE else ""
        else:
            continue
        key = _OF_FLAG.get(name, name)
        found.setdefault(key, [])
        if equals:
            found[key].append(value)
        else:
            waiting = key
    return found


def words_of(start: str, files: Mapping[str, str | None] = MappingProxyType({})) -> list[str]:
    """The words of the command line in ``ExecStart`` as ``systemctl show`` prints it, no program.

    + start: the property's value
    + files: the unit's ``EnvironmentFiles`` in order, text by path; None is one that is not read
      here. Debian's unit has ``$DOCKER_OPTS`` of such a file, Fedora's ``$OPTIONS``, openSUSE's
      ``$DOCKER_NETWORK_OPTIONS`` too

    CannotTell where it has variables that nobody knows the value of.
    """
    arguments, semicolon, _ = start.partition("argv[]=")[2].partition(" ;")
    if not semicolon:
        return []
    words: list[str] = []
    for word in arguments.split()[1:]:
        found = re.fullmatch(rf"\$({NAME})|\$\{{({NAME})\}}", word)
        name = found and (found[1] or found[2])
        if name in _OF_DISTRIBUTIONS:
            words += split(_variables(word, files).get(name, ""))
        elif "$" in word:
            raise CannotTell(f"docker.service has the variable {word[:60]} in its command line")
        else:
            words.append(word)
    return words


def _variables(word: str, files: Mapping[str, str | None]) -> dict[str, str]:
    variables: dict[str, str] = {}
    for path, text in files.items():
        if text is None:
            raise CannotTell(f"docker.service has {word}, which may be of {path}: that is not read")
        variables.update(environment_file(text, path))
    return variables


def in_both(keys: Iterable[str], words: Sequence[str]) -> list[str]:
    """The keys that are flags of the command line too: dockerd does not start with them.

    + keys: of daemon.json
    + words: of the command line
    """
    flags = stated(words)
    return [key for key in keys if key in flags and key not in _IN_BOTH]


def says(words: Sequence[str], key: str, value: Any) -> bool:
    """Whether a flag of the command line says what a key of daemon.json would.

    + words: of the command line
    + key, value: of daemon.json; only switches and text count
    """
    values = stated(words).get(key)
    if values is None or not isinstance(value, (bool, str)):
        return False
    last = values[-1] if values else "true"
    return last == (str(value).lower() if isinstance(value, bool) else value)
