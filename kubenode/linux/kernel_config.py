"""The kernel's configuration: what its lines say, and what proves an option without one.

Sources: the kernel's ``Documentation/kbuild/kconfig.rst``; what Kubernetes asks for and where a
configuration may be: k8s.io/system-validators, ``types_unix.go`` and ``kernel_validator.go``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Literal

Built = Literal["y", "m", "n"]
"""Built in, as a module, or not at all."""

REQUIRED = (
    "CONFIG_NAMESPACES", "CONFIG_NET_NS", "CONFIG_PID_NS", "CONFIG_IPC_NS", "CONFIG_UTS_NS",
    "CONFIG_CGROUPS", "CONFIG_CGROUP_BPF", "CONFIG_CGROUP_PIDS", "CONFIG_CGROUP_SCHED",
    "CONFIG_CPUSETS", "CONFIG_MEMCG", "CONFIG_INET", "CONFIG_EXT4_FS", "CONFIG_PROC_FS",
    "CONFIG_NETFILTER_XT_TARGET_REDIRECT", "CONFIG_NETFILTER_XT_MATCH_COMMENT",
    "CONFIG_FAIR_GROUP_SCHED",
)  # fmt: skip
"""Those kubeadm's SystemVerification calls required."""

OPTIONAL = (
    "CONFIG_OVERLAY_FS",
    "CONFIG_CFS_BANDWIDTH",
    "CONFIG_SECCOMP",
    "CONFIG_SECCOMP_FILTER",
    "CONFIG_CGROUP_HUGETLB",
)
"""Those it calls optional, without AUFS and device mapper, which no CRI runtime uses any more."""

ALIASES = {"CONFIG_IP_NF_TARGET_REDIRECT": "CONFIG_NETFILTER_XT_TARGET_REDIRECT"}
"""Older names of required options."""

FILES = (
    "/proc/config.gz",
    "/boot/config-$release",
    "/usr/src/linux-$release/.config",
    "/usr/src/linux/.config",
    "/usr/lib/modules/$release/config",
    "/usr/lib/ostree-boot/config-$release",
    "/usr/lib/kernel/config-$release",
    "/usr/src/linux-headers-$release/.config",
    "/lib/modules/$release/build/.config",
)
"""Where kubeadm looks, in its order."""

_LINE = re.compile(r"(CONFIG_\w+)=([ym])|# (CONFIG_\w+) is not set")
_NAMESPACES = {"net": "NET_NS", "pid": "PID_NS", "ipc": "IPC_NS", "uts": "UTS_NS"}
_CONTROLLERS = {
    "pids": "CGROUP_PIDS",
    "cpuset": "CPUSETS",
    "memory": "MEMCG",
    "cpu": "CGROUP_SCHED",
    "hugetlb": "CGROUP_HUGETLB",
}
_FILE_SYSTEMS = {"ext4": "EXT4_FS", "proc": "PROC_FS", "overlay": "OVERLAY_FS"}


def stated(lines: Iterable[str]) -> dict[str, Built]:
    """What a configuration's lines say of options, by the newest name.

    + lines: such as ``CONFIG_VETH=m`` and ``# CONFIG_TUN is not set``; numbers, texts and all other
      lines count for nothing

    Of an option that two lines or two names set, the first that is not off counts.
    """
    options: dict[str, Built] = {}
    for line in lines:
        found = _LINE.fullmatch(line)
        if not found:
            continue
        name = ALIASES.get(found[1] or found[3], found[1] or found[3])
        if options.get(name, "n") == "n":
            options[name] = "y" if found[2] == "y" else "m" if found[2] == "m" else "n"
    return options


def proven(
    namespaces: Collection[str],
    controllers: Collection[str],
    file_systems: Collection[str],
    has_tcp: bool,
) -> dict[str, Built]:
    """What a running kernel shows to have, where there is no configuration to read.

    + namespaces: names in ``/proc/self/ns``
    + controllers: of ``/proc/cgroups`` and of cgroup v2
    + file_systems: those of ``/proc/filesystems``
    + has_tcp: whether there is ``/proc/net/tcp``
    """
    found = [option for name, option in _NAMESPACES.items() if name in namespaces]
    if found:
        found.append("NAMESPACES")
    found += [option for name, option in _CONTROLLERS.items() if name in controllers]
    if controllers:
        found.append("CGROUPS")
    found += [option for name, option in _FILE_SYSTEMS.items() if name in file_systems]
    if has_tcp:
        found.append("INET")
    return {f"CONFIG_{name}": "y" for name in found}
