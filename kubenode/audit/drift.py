"""Drift: the odd host out, for each fact that should be the same everywhere."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping

from kubenode.audit.findings import Drift
from kubenode.facts.node import NodeShape

TITLES = {
    "os": "Operating system",
    "architecture": "Architecture",
    "kernel": "Kernel release",
    "cgroup": "Cgroup version",
    "containerd.version": "containerd version",
    "containerd.package": "containerd package",
    "containerd.settings": "containerd's effective settings",
    "containerd.files": "containerd's configuration files",
    "kubelet.version": "kubelet version",
    "selinux": "SELinux",
    "apparmor": "AppArmor",
}
_PREFIX_TITLES = {
    "driver": "Cgroup driver of",
    "module": "Kernel module",
    "sysctl": "Sysctl",
}

DUPLICATES = {
    "machine-id": "machine-id is another host's too",
    "product-uuid": "product_uuid is another host's too",
    "hostname": "The host name is another host's too",
    "mac": "A MAC address is another host's too",
}


def values(facts: NodeShape) -> dict[str, str | None]:
    """A host's values that should be the same as the other hosts', by id.

    + facts: the host's Node fact

    None is a value that is not known. A value that this host does not have is left out.
    """
    found: dict[str, str | None] = {}
    platform, machine, containerd = facts["platform"], facts["machine"], facts["containerd"]
    found["os"] = platform["os_name"] if platform else None
    found["architecture"] = machine["architecture"] if machine else None
    found["kernel"] = machine["kernel"] if machine else None
    found["cgroup"] = facts["cgroups"]["mode"] if facts["cgroups"] else None
    if containerd is None:
        found["containerd.version"] = None
    else:
        package = containerd["installed"]["package"]
        found["containerd.version"] = containerd["installed"]["version"] or "not installed"
        found["containerd.package"] = (
            f"{package['name']} {package['version']}" if package else "no package"
        )
        if containerd["installed"]["binary"]:
            # of other releases it has other names and places
            found["containerd.settings"] = _digest(
                {
                    "handlers": {
                        name: [handler["runtime_type"], handler["cgroup_driver"]]
                        for name, handler in containerd["handlers"].items()
                    },
                    "default": containerd["default_handler"],
                    "pause": containerd["pause_image"],
                    "snapshotter": containerd["snapshotter"],
                    "registry": containerd["registry_config_path"],
                    "disabled": sorted(containerd["disabled_plugins"]),
                }
            )
            found["containerd.files"] = _digest(facts["containerd_files"])
    found["kubelet.version"] = (
        (facts["kubelet"]["version"] or "not installed") if facts["kubelet"] else None
    )
    if machine:
        found["selinux"] = machine["selinux"]
        apparmor = machine["apparmor"]
        found["apparmor"] = None if apparmor is None else "on" if apparmor else "off"
    if facts["cgroup_drivers"]:
        for name, component in facts["cgroup_drivers"]["components"].items():
            found[f"driver.{name}"] = component["driver"]
    if facts["modules"]:
        for name, module in facts["modules"]["modules"].items():
            state = None if module["state"] == "unknown" else module["state"]
            boot = {True: "at boot", False: "not at boot", None: None}[module["boot"]]
            found[f"module.{name}"] = f"{state}, {boot}" if state and boot else None
    if facts["sysctls"]:
        for key, sysctl in facts["sysctls"]["keys"].items():
            live = "not there" if sysctl["live_state"] == "absent" else sysctl["live"]
            boot = "kernel default" if sysctl["boot_state"] == "unset" else sysctl["boot"]
            known = live is not None and boot is not None
            found[f"sysctl.{key}"] = f"{live}, at boot {boot}" if known else None
    return {fact: _cut(value) for fact, value in found.items()}


_MOST_CHARACTERS = 500


def _cut(value: str | None) -> str | None:
    if value is None or len(value) <= _MOST_CHARACTERS:
        return value
    # the part that is left out can differ too
    return f"{value[:_MOST_CHARACTERS]}... ({_digest(value)})"


def title(fact: str) -> str:
    """What a fact of :func:`values` is, for people."""
    kind, _, name = fact.partition(".")
    return TITLES.get(fact) or f"{_PREFIX_TITLES[kind]} {name}"


def _digest(data: object) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]


def drift(hosts: Mapping[str, Mapping[str, str | None]]) -> tuple[Drift, ...]:
    """What differs between hosts, in the order of :func:`values`.

    + hosts: :func:`values` by host

    The usual value is the one that more than half of the hosts with a known value have. Without
    such a majority there is none, and every value is odd. Hosts without such a value (no Docker)
    are left out. A fact that only one host has is no drift.
    """
    facts: dict[str, dict[str, list[str]]] = {}
    unknown: dict[str, list[str]] = {}
    for host, found in hosts.items():
        for fact, value in found.items():
            if value is None:
                unknown.setdefault(fact, []).append(host)
                facts.setdefault(fact, {})
            else:
                facts.setdefault(fact, {}).setdefault(value, []).append(host)
    drifts = []
    for fact, by_value in facts.items():
        if len(by_value) < 2:
            continue
        known = sum(map(len, by_value.values()))
        usual, count = max(
            ((value, len(names)) for value, names in by_value.items()), key=lambda pair: pair[1]
        )
        has_majority = 2 * count > known
        drifts.append(
            Drift(
                id=f"drift.{fact}",
                title=title(fact),
                usual=usual if has_majority else None,
                odd={
                    value: tuple(names)
                    for value, names in sorted(by_value.items())
                    if not (has_majority and value == usual)
                },
                unknown=tuple(unknown.get(fact, ())),
            )
        )
    return tuple(drifts)


def duplicates(hosts: Mapping[str, NodeShape]) -> tuple[Drift, ...]:
    """Identities that hosts share: they are clones of one image, and the cluster sees one node.

    + hosts: Node facts by host

    Source: the kubeadm page "Installing kubeadm", "Verify the MAC address and product_uuid are
    unique for every node".
    """
    owners: dict[str, dict[str, list[str]]] = {kind: {} for kind in DUPLICATES}
    for host, facts in hosts.items():
        for kind, identity in _identities(facts):
            owners[kind].setdefault(identity, []).append(host)
    found = []
    for kind, by_identity in owners.items():
        shared = {
            identity: tuple(names) for identity, names in by_identity.items() if len(names) > 1
        }
        if shared:
            found.append(Drift(f"duplicate.{kind}", DUPLICATES[kind], None, shared))
    return tuple(found)


def _identities(facts: NodeShape) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    machine, network = facts["machine"], facts["network"]
    if machine:
        # not a placeholder of an image that was never started, nor of firmware without a number
        if machine["machine_id"] and machine["machine_id"] != "uninitialized":
            found.add(("machine-id", machine["machine_id"]))
        uuid = machine["product_uuid"]
        if uuid and len(Counter(uuid.replace("-", ""))) > 1:
            found.add(("product-uuid", uuid.lower()))
    if network:
        if network["hostname"] and network["hostname"] != "localhost":
            found.add(("hostname", network["hostname"].lower()))
        found |= {("mac", mac) for mac in network["macs"].values()}
    return found
