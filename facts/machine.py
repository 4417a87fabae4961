"""The machine: its size, identity, programs, clock and security modules."""

from __future__ import annotations

import re
from typing import Literal, TypedDict

from kubenode.facts import file_systems, mounts
from kubenode.facts.file_systems import FileSystemShape
from kubenode.run import host_script
from kubenode.runtimes.runtime import CONTAINERD
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "machine"

_ONLINE = "/sys/devices/system/cpu/online"
_PRODUCT_UUID = "/sys/class/dmi/id/product_uuid"
_ENFORCE = "/sys/fs/selinux/enforce"
_APPARMOR = "/sys/module/apparmor/parameters/enabled"
_LSMS = "/sys/kernel/security/lsm"

DIRECTORIES = ("/", "/var/lib/kubelet", CONTAINERD.data_root, "/var/log")
TIME_SERVICES = (
    "chrony",
    "chronyd",
    "ntp",
    "ntpd",
    "ntpsec",
    "openntpd",
    "systemd-timesyncd",
)


class MachineShape(TypedDict):
    """What :class:`Machine` returns."""

    cpus: int | None
    """CPUs online."""
    memory_kib: int | None
    """``MemTotal``."""
    architecture: str | None
    """``uname -m``."""
    kernel: str | None
    """Release of the running kernel."""
    machine_id: str | None
    product_uuid: str | None
    """DMI's, None when it has none or only root may read it."""
    file_systems: dict[str, FileSystemShape]
    """By directory: ``/``, ``/var/lib/kubelet``, ``/var/lib/containerd``, ``/var/log``; one that
    does not exist yet is answered for by its nearest parent, under its own name."""
    programs: dict[str, str | None]
    """By name, the path found in root's usual PATH, None when there is none. The names are
    ``PROGRAMS``."""
    clock_synchronized: bool | None
    """What the kernel (adjtimex) or systemd says; None when it cannot be told."""
    time_services: list[str]
    """Active services that set the clock: ``chrony``, ``systemd-timesyncd``, ``ntpsec``, ..."""
    selinux: Literal["enforcing", "permissive", "disabled"] | None
    """``disabled``: the kernel has none, or it is off."""
    apparmor: bool | None
    """Whether the kernel has AppArmor on."""
    lsms: list[str]
    """``/sys/kernel/security/lsm``."""
    reboot_required: bool
    """``/run/reboot-required`` or ``/var/run/reboot-required`` exists."""


PROGRAMS = (
    "conntrack", "cp", "crictl", "ebtables", "ethtool", "ip", "iptables", "losetup", "modprobe",
    "mount", "nft", "nsenter", "socat", "tc", "touch", "umount", "apparmor_parser", "runc",
)  # fmt: skip
"""Programs kubeadm and k0s look for, and those they need with a profile."""


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(
        host_script.read(
            __file__, "machine.sh", DIRECTORIES=" ".join(DIRECTORIES), PROGRAMS=" ".join(PROGRAMS)
        ),
        files=("/etc/machine-id",),
        kernel_files=(_ONLINE, _PRODUCT_UUID, _ENFORCE, _APPARMOR, _LSMS),
        units=tuple(f"{name}.service" for name in TIME_SERVICES),
        properties=("ActiveState",),
        shared=(mounts.READ, file_systems.ASK),
        programs=("df", "uname"),
        answers=("uname", "df", "inodes", "programs", "mounts"),
    )


def parse(reading: Reading) -> MachineShape:
    """The shape from what the host sent."""
    reading.known("df", "inodes", "mounts", "/etc/machine-id", _LSMS)
    release, _, architecture = (reading.value("uname") or "").partition(" ")
    return {
        "cpus": _cpus(_first(reading, _ONLINE) or ""),
        "memory_kib": _number(reading.value("memory")),
        "architecture": architecture or None,
        "kernel": release or None,
        "machine_id": _first(reading, "/etc/machine-id"),
        "product_uuid": _first(reading, _PRODUCT_UUID),
        "file_systems": file_systems.parse(reading, DIRECTORIES, mounts.mounted(reading) or {}),
        "programs": _programs(reading.text("programs")),
        "clock_synchronized": True if reading.value("clock") else None,
        "time_services": [
            name
            for name in TIME_SERVICES
            if (reading.unit(f"{name}.service") or {}).get("ActiveState") == "active"
        ],
        "selinux": _selinux(reading),
        "apparmor": _apparmor(reading),
        "lsms": [name for name in (_first(reading, _LSMS) or "").split(",") if name],
        "reboot_required": reading.value("reboot") == "required",
    }


def _first(reading: Reading, key: str) -> str | None:
    return next((line.strip() for line in reading.text(key) if line.strip()), None)


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text) else None


def _cpus(online: str) -> int | None:
    """The length of a list such as ``0-3,8``."""
    total = 0
    for part in online.split(","):
        found = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part)
        if not found:
            return None
        total += int(found[2] or found[1]) - int(found[1]) + 1
    return total


def _programs(lines: list[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = dict.fromkeys(PROGRAMS)
    for line in lines:
        name = line.rpartition("/")[2]
        # without a path it is a function or builtin of the shell, no program
        if line.startswith("/") and name in found:
            found[name] = line
    return found


def _selinux(reading: Reading) -> Literal["enforcing", "permissive", "disabled"] | None:
    if reading.is_unreadable(_ENFORCE):
        return None
    enforce = _first(reading, _ENFORCE)
    if enforce is None:
        return "disabled"
    return "enforcing" if enforce == "1" else "permissive"


def _apparmor(reading: Reading) -> bool | None:
    return None if reading.is_unreadable(_APPARMOR) else _first(reading, _APPARMOR) == "Y"


class Machine(ProbeFact[MachineShape]):
    """
    Returns the machine's size, identity, programs, clock and security modules
    (:class:`MachineShape`).

    .. code:: python

        {
            "cpus": 2,
            "memory_kib": 4028416,
            "architecture": "x86_64",
            "kernel": "6.12.90+deb13-amd64",
            "machine_id": "5aae169936cf464092a50d87683ee43b",
            "product_uuid": "03aa02fc-0414-0516-7306-820700080009",
            "file_systems": {
                "/var/lib/kubelet": {
                    "kind": "ext4",
                    "mount": "/",
                    "size_kib": 41152736,
                    "free_kib": 30112884,
                    "free_inodes_percent": 97,
                    "options": ["rw", "relatime"],
                },
            },
            "programs": {"conntrack": None, "ip": "/usr/sbin/ip"},
            "clock_synchronized": True,
            "time_services": ["systemd-timesyncd"],
            "selinux": "disabled",
            "apparmor": True,
            "lsms": ["capability", "apparmor", "bpf"],
            "reboot_required": False,
        }

    ``timedatectl`` and ``chronyc`` are not asked: the first starts a service, the second makes a
    socket. So a clock that chrony keeps is known by its service only.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.machine.Machine
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: Readings) -> MachineShape:
        return parse(readings[PROBE])
