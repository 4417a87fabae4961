"""What the running kernel was built with, as far as Kubernetes asks for it."""

from __future__ import annotations

import re
from typing import Literal, TypedDict

from kubenode.linux import kernel_modules
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact

PROBE = "kernel-config"


class KernelConfigShape(TypedDict):
    """What :class:`KernelConfig` returns."""

    file: str | None
    """Where it was read from; None when the host has no kernel configuration that can be read."""
    options: dict[str, Literal["y", "m", "n"]]
    """By name with ``CONFIG_``, of ``REQUIRED`` and ``OPTIONAL``. Without a file only those that
    something else proves to be there (``/proc/self/ns``, ``/proc/cgroups``, ``/proc/filesystems``,
    the v2 controllers): an option that is not listed is unknown."""


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
"""Where kubeadm looks (k8s.io/system-validators, ``kernel_validator.go``), in its order."""

_NAMESPACES = {"net": "NET_NS", "pid": "PID_NS", "ipc": "IPC_NS", "uts": "UTS_NS"}
_CONTROLLERS = {
    "pids": "CGROUP_PIDS",
    "cpuset": "CPUSETS",
    "memory": "MEMCG",
    "cpu": "CGROUP_SCHED",
    "hugetlb": "CGROUP_HUGETLB",
}
_FILE_SYSTEMS = {"ext4": "EXT4_FS", "proc": "PROC_FS", "overlay": "OVERLAY_FS"}


_NAMES = sorted(
    {*REQUIRED, *OPTIONAL, *ALIASES, "CONFIG_MODULES", *kernel_modules.CONFIG_OPTIONS.values()}
)

READ = host_script.read(
    __file__,
    "kernel_config.sh",
    NAMES="|".join(_NAMES),
    FILES=" ".join(f'"{path}"' for path in FILES),
)
"""For :attr:`kubenode.wire.probe.Script.shared`: the options that facts ask for, in
``config_file`` and ``config``, and the variables ``$release`` (of the running kernel) and
``$config``."""


AT_TIMES = ("gzip", "uname")
"""For :attr:`kubenode.wire.probe.Script.at_times`, where :data:`READ` is."""


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(
        host_script.read(__file__, "kernel_features.sh"),
        kernel_files=("/sys/fs/cgroup/cgroup.controllers",),
        shared=(READ,),
        at_times=AT_TIMES,
    )


def parse(reading: probe.Reading) -> KernelConfigShape:
    """The shape from what the host sent."""
    file = reading.value("config_file")
    options = _stated(reading.text("config")) if file else _proven(reading)
    known = {name: options[name] for name in (*REQUIRED, *OPTIONAL) if name in options}
    if file:
        # a complete file leaves out what depends on something that is off
        known = {name: known.get(name, "n") for name in (*REQUIRED, *OPTIONAL)}
    return {"file": file, "options": known}


def _stated(lines: list[str]) -> dict[str, Literal["y", "m", "n"]]:
    options: dict[str, Literal["y", "m", "n"]] = {}
    for line in lines:
        found = re.fullmatch(r"(CONFIG_\w+)=([ym])|# (CONFIG_\w+) is not set", line)
        if not found:
            continue
        name = found[1] or found[3]
        value: Literal["y", "m", "n"] = "n"
        if found[2]:
            value = "y" if found[2] == "y" else "m"
        name = ALIASES.get(name, name)
        if options.get(name, "n") == "n":
            options[name] = value
    return options


def _proven(reading: probe.Reading) -> dict[str, Literal["y", "m", "n"]]:
    namespaces = set(reading.text("namespaces"))
    proven = [option for name, option in _NAMESPACES.items() if name in namespaces]
    if proven:
        proven.append("NAMESPACES")
    controllers = set(" ".join(reading.text("/sys/fs/cgroup/cgroup.controllers")).split())
    controllers |= {line.split()[0] for line in reading.text("/proc/cgroups") if line.split()}
    proven += [option for name, option in _CONTROLLERS.items() if name in controllers]
    if controllers:
        proven.append("CGROUPS")
    file_systems = {line.split()[-1] for line in reading.text("/proc/filesystems") if line.split()}
    proven += [option for name, option in _FILE_SYSTEMS.items() if name in file_systems]
    if reading.value("tcp"):
        proven.append("INET")
    return {f"CONFIG_{name}": "y" for name in proven}


class KernelConfig(ProbeFact[KernelConfigShape]):
    """
    Returns the kernel's options that kubeadm asks for (:class:`KernelConfigShape`).

    .. code:: python

        {
            "file": "/boot/config-6.12.90+deb13-amd64",
            "options": {"CONFIG_NAMESPACES": "y", "CONFIG_OVERLAY_FS": "m", "CONFIG_EXT4_FS": "n"},
        }

    Source: k8s.io/system-validators, ``types_unix.go`` and ``kernel_validator.go``.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.kernel_config.KernelConfig
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: probe.Readings) -> KernelConfigShape:
        return parse(readings[PROBE])
