"""What a round wants of a node, what an administrator does before it, and whether it is so."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tests.soak.host import Host

CONFIG = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/50-site.toml"
CRICTL = "/etc/crictl.yaml"
MODULES = "/etc/modules-load.d/k8s.conf"
SYSCTLS = "/etc/sysctl.d/k8s.conf"
SITE = "/etc/sysctl.d/zz-site.conf"
"""The administrator's file, which would win at boot over what a deploy wants."""

CONTAINERD_FILES = (CONFIG, DROP_IN)
SYSCTL_FILES = (SYSCTLS, SITE)
FILES = (*CONTAINERD_FILES, *SYSCTL_FILES, CRICTL, MODULES)

_KEY = "net.ipv4.tcp_keepalive_time"
_CRI = 'plugins."io.containerd.grpc.v1.cri"'
_MAIN = f"""\
# the storage team's, ask before you change it
version = 2
imports = ["/etc/containerd/conf.d/*.toml"]
oom_score = 0
[{_CRI}.registry]
config_path = "/etc/containerd/certs.d"
[{_CRI}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""
_SITE_RUNTIME = f"""\
version = 2
# padding, so that half a file is easily seen: {"x" * 3000}
[{_CRI}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{_CRI}.containerd.runtimes.runc.options]
SystemdCgroup = false
"""


@dataclass(frozen=True)
class Wanted:
    """Settings of a deploy; no two of a loop are the same."""

    number: int
    cgroup_driver: Literal["systemd", "cgroupfs"]

    @property
    def pause_image(self) -> str:
        """An image's name, which is nowhere fetched."""
        return f"registry.example.net/pause:{self.number}"

    @property
    def seconds(self) -> int:
        """The value of the sysctl."""
        return 1000 + self.number

    def data(self) -> dict[str, Any]:
        """As host data."""
        return {
            "kubenode_cgroup_driver": self.cgroup_driver,
            "kubenode_pause_image": self.pause_image,
            "kubenode_sysctls": {_KEY: self.seconds, "net.ipv4.ip_forward": 1},
            "kubenode_sysctls_override": True,
        }


def begin(host: Host) -> None:
    """Give a host a configuration of two files, which are changed together."""
    host.write(DROP_IN, _SITE_RUNTIME.encode())
    host.write(CONFIG, _MAIN.encode())
    host.target.sh(f"chgrp users {CONFIG} && chmod 0640 {CONFIG}")


def edit(host: Host, chance: random.Random, number: int) -> None:
    """What an administrator does between two deploys."""
    site = f"# round {number}\n{_KEY} = {7000 + number}\nnet.ipv4.conf.all.log_martians = 0\n"
    host.write(SITE, site.encode())
    if chance.random() < 0.3:
        host.write(CRICTL, b"runtime-endpoint: unix:///run/dockershim.sock\ntimeout: 7\n")
    if chance.random() < 0.3:
        host.write(MODULES, b"# mine\noverlay\n")


def differences(host: Host, wanted: Wanted) -> list[str]:
    """What on the host is not as wanted: its files, its kernel and its runtime are asked."""
    return [
        *containerd_differences(host, wanted),
        *sysctl_differences(host, wanted),
        *_others(host),
        *in_force(host, wanted),
    ]


def containerd_differences(host: Host, wanted: Wanted) -> Iterator[str]:
    """What in containerd's files is not as wanted."""
    systemd = wanted.cgroup_driver == "systemd"
    images: list[object] = []
    for path in CONTAINERD_FILES:
        try:
            table = tomllib.loads((host.read(path) or b"").decode())
        except ValueError as error:
            yield f"{path} is no TOML: {error}"
            continue
        values = list(_values(table, "SystemdCgroup"))
        if set(values) != {systemd}:
            yield f"{path} has SystemdCgroup {values}, wanted is {systemd}"
        # the file that containerd reads last may hold it
        images += [*_values(table, "sandbox_image"), *_values(table, "sandbox")]
    if images != [wanted.pause_image]:
        yield f"containerd's files have the pause image {images}, wanted is {wanted.pause_image}"


def sysctl_differences(host: Host, wanted: Wanted) -> Iterator[str]:
    """What the sysctl files would not set at boot as wanted."""
    for path, values in ((SYSCTLS, [wanted.seconds]), (SITE, [])):
        text = (host.read(path) or b"").decode()
        found = [int(value) for value in re.findall(rf"^{re.escape(_KEY)} *= *(\d+)$", text, re.M)]
        if found != values:
            yield f"{path} sets {_KEY} to {found}, wanted is {values}"


def live_seconds(host: Host) -> int:
    """What the sysctl is now."""
    # /proc/sys/net is of who reads it: this machine would read its own
    return int(host.target.sh(f"cat /proc/sys/{_KEY.replace('.', '/')}"))


def in_force(host: Host, wanted: Wanted) -> Iterator[str]:
    """What the kernel and the running daemon do not do as wanted."""
    if (live := live_seconds(host)) != wanted.seconds:
        yield f"{_KEY} is {live}, wanted is {wanted.seconds}"
    yield from runtime_differences(host, wanted)


def runtime_differences(host: Host, wanted: Wanted) -> Iterator[str]:
    """What containerd, which is asked, does not do as wanted."""
    with host.target.cri() as cri:
        drivers = cri.systemd_cgroup()
    if set(drivers.values()) != {wanted.cgroup_driver == "systemd"}:
        yield f"containerd runs with SystemdCgroup {drivers}, wanted is {wanted.cgroup_driver}"
    if (image := host.target.pause_image()) != wanted.pause_image:
        yield f"containerd runs with the pause image {image}, wanted is {wanted.pause_image}"


def _others(host: Host) -> Iterator[str]:
    if b"unix:///run/containerd/containerd.sock" not in (host.read(CRICTL) or b""):
        yield f"{CRICTL} does not point at containerd"
    modules = (host.read(MODULES) or b"").decode().split("\n")
    if not {"overlay", "br_netfilter"} <= set(modules):
        yield f"{MODULES} has {modules}"


def _values(table: Any, key: str) -> Iterator[Any]:
    """Every value of a key, at any depth."""
    if isinstance(table, dict):
        for name, value in table.items():
            if name == key and not isinstance(value, dict):
                yield value
            else:
                yield from _values(value, key)
