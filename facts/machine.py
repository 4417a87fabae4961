"""The machine: its size, identity, programs, clock and security modules."""

from __future__ import annotations

import re
from typing import Literal, TypedDict

from kubenode import probe
from kubenode.facts.probe_fact import ProbeFact

PROBE = "machine"

DIRECTORIES = ("/", "/var/lib/kubelet", "/var/lib/containerd", "/var/log")
TIME_SERVICES = (
    "chrony",
    "chronyd",
    "ntp",
    "ntpd",
    "ntpsec",
    "openntpd",
    "systemd-timesyncd",
)


class FileSystemShape(TypedDict):
    """Where a directory lives."""

    kind: str | None
    """File system type, such as ``ext4``."""
    mount: str
    size_kib: int
    free_kib: int
    free_inodes_percent: int | None
    """None where the file system has no fixed number of inodes."""
    options: list[str]
    """Mount options without a value, such as ``noexec``."""


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
    "conntrack", "crictl", "ebtables", "ethtool", "ip", "iptables", "modprobe", "mount", "nft",
    "nsenter", "socat", "tc", "touch", "umount", "apparmor_parser", "runc",
)  # fmt: skip
"""Programs kubeadm and k0s look for, and those they need with a profile."""


def script() -> str:
    """The probe's shell script."""
    places = "/|/var|/var/lib|/var/log|/var/lib/kubelet|/var/lib/containerd"
    return rf"""
text /sys/devices/system/cpu/online
value memory "$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo)"
value uname "$(uname -rm)"
text /etc/machine-id
text /sys/class/dmi/id/product_uuid
limited() {{ if command -v timeout >/dev/null; then timeout 10 "$@"; else "$@"; fi; }}
set --
for place in {" ".join(DIRECTORIES)}; do
  while [ ! -e "$place" ]; do place=${{place%/*}}; place=${{place:-/}}; done
  set -- "$@" "$place"
done
limited df -P -k "$@" | lines df
limited df -P -i "$@" | lines inodes
grep -E '^[^ ]+ ({places}) ' /proc/self/mounts |
  sed 's/,[a-z]*dir=[^ ,]*//g' | lines mounts
for name in {" ".join(PROGRAMS)}; do command -v "$name"; done | lines programs
[ -e /run/systemd/timesync/synchronized ] && value clock synchronized
if [ -d /run/systemd/system ]; then
  set -- {" ".join(TIME_SERVICES)}
  systemctl is-active "$@" | while read -r state; do
    [ "$state" = active ] && printf '%s\n' "$1"
    shift
  done | lines time_services
fi
if [ -d /sys/fs/selinux ]; then text /sys/fs/selinux/enforce; fi
text /sys/module/apparmor/parameters/enabled
text /sys/kernel/security/lsm
if [ -e /run/reboot-required ] || [ -e /var/run/reboot-required ]; then value reboot required; fi
"""


def parse(reading: probe.Reading) -> MachineShape:
    """The shape from what the host sent."""
    release, _, architecture = (reading.value("uname") or "").partition(" ")
    return {
        "cpus": _cpus(_first(reading, "/sys/devices/system/cpu/online") or ""),
        "memory_kib": _number(reading.value("memory")),
        "architecture": architecture or None,
        "kernel": release or None,
        "machine_id": _first(reading, "/etc/machine-id"),
        "product_uuid": _first(reading, "/sys/class/dmi/id/product_uuid"),
        "file_systems": _file_systems(reading),
        "programs": _programs(reading.text("programs")),
        "clock_synchronized": True if reading.value("clock") else None,
        "time_services": [line for line in reading.text("time_services") if line in TIME_SERVICES],
        "selinux": _selinux(reading),
        "apparmor": _apparmor(reading),
        "lsms": [
            name for name in (_first(reading, "/sys/kernel/security/lsm") or "").split(",") if name
        ],
        "reboot_required": reading.value("reboot") == "required",
    }


def _first(reading: probe.Reading, key: str) -> str | None:
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


def _file_systems(reading: probe.Reading) -> dict[str, FileSystemShape]:
    inodes = [_df(line) for line in reading.text("inodes")[1:]]
    mounts = {}
    for line in reading.text("mounts"):
        fields = line.split(" ")
        if len(fields) >= 4:
            options = [option for option in fields[3].split(",") if "=" not in option]
            mounts[fields[1]] = (fields[2], options)
    shapes: dict[str, FileSystemShape] = {}
    for index, line in enumerate(reading.text("df")[1:]):
        row = _df(line)
        if row is None or index >= len(DIRECTORIES):
            break
        size, free, mount = row
        row_of_inodes = inodes[index] if index < len(inodes) else None
        percent = None
        if row_of_inodes and row_of_inodes[0] > 0:
            percent = row_of_inodes[1] * 100 // row_of_inodes[0]
        kind, options = mounts.get(mount, (None, []))
        shapes[DIRECTORIES[index]] = {
            "kind": kind,
            "mount": mount,
            "size_kib": size,
            "free_kib": free,
            "free_inodes_percent": percent,
            "options": options,
        }
    return shapes


def _df(line: str) -> tuple[int, int, str] | None:
    """Size, free and mount point of a line of ``df -P``; the device's name may have blanks."""
    found = re.fullmatch(r".* +(\d{1,18}) +\d+ +(\d{1,18}) +(?:\d+%|-) +(/.*)", line)
    return (int(found[1]), int(found[2]), found[3]) if found else None


def _selinux(reading: probe.Reading) -> Literal["enforcing", "permissive", "disabled"] | None:
    path = "/sys/fs/selinux/enforce"
    if reading.is_unreadable(path):
        return None
    enforce = _first(reading, path)
    if enforce is None:
        return "disabled"
    return "enforcing" if enforce == "1" else "permissive"


def _apparmor(reading: probe.Reading) -> bool | None:
    path = "/sys/module/apparmor/parameters/enabled"
    return None if reading.is_unreadable(path) else _first(reading, path) == "Y"


class Machine(ProbeFact[MachineShape]):
    """
    Returns the machine's size, identity, programs, clock and security modules
    (:class:`MachineShape`).

    ``timedatectl`` and ``chronyc`` are not asked: the first starts a service, the second makes a
    socket. So a clock that chrony keeps is known by its service only.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.machine.Machine
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: dict[str, probe.Reading]) -> MachineShape:
        return parse(readings[PROBE])
