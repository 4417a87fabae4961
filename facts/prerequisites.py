"""Programs that kubelet and kubeadm use, and those that must leave a node's things alone."""

from __future__ import annotations

from typing import TypedDict

from kubenode.facts import mounts, package_versions, platform
from kubenode.facts.os_release import os_release
from kubenode.files.exact_text import text_of
from kubenode.kubelet import prerequisites
from kubenode.linux import image_based
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "prerequisites"
NETWORK_MANAGER_UNIT = "NetworkManager.service"

_APPARMOR = "/sys/module/apparmor/parameters/enabled"


class PrerequisitesShape(TypedDict):
    """What :class:`Prerequisites` returns."""

    package_manager: str | None
    """``apt-get``, ``dnf`` or ``zypper``, None when the host has none of them."""
    os_release: dict[str, str]
    """os-release(5), by name."""
    image: str | None
    """What kind of image the system is; None: packages make it."""
    usr: image_based.Usr | None
    """Whether ``/usr`` can be written to, None when that cannot be told."""
    programs: dict[str, str | None]
    """Path by name, of :data:`kubenode.kubelet.prerequisites.PROGRAMS`; None is missing."""
    kernel: str | None
    """Release of the running kernel."""
    bridge_module: bool | None
    """Whether that kernel has br_netfilter, or a module of it; None when it cannot be told."""
    apparmor: bool | None
    """Whether the kernel has AppArmor on."""
    network_manager: bool
    """Whether NetworkManager is on the host."""
    told: str | None
    """Exact content of kubenode's file for it; None when there is none."""
    unreadable: bool
    """Whether that could not be read."""
    network_manager_active: bool
    """Whether NetworkManager runs."""


def script() -> probe.Script:
    """The probe's script."""
    which = host_script.read(
        package_versions.__file__,
        "package_manager.sh",
        PACKAGE_MANAGERS=" ".join(platform.PACKAGE_MANAGERS),
    )
    looks = host_script.read(
        __file__, "prerequisites.sh", PROGRAMS=" ".join(prerequisites.PROGRAMS)
    )
    return probe.Script(
        f"{which}\n{looks}",
        files=("/etc/os-release", prerequisites.NETWORK_MANAGER),
        kernel_files=(_APPARMOR,),
        units=(NETWORK_MANAGER_UNIT,),
        properties=("ActiveState",),
        shared=(mounts.READ,),
        programs=("uname",),
        answers=("programs", "kernel"),
    )


def parse(reading: Reading) -> PrerequisitesShape:
    """The shape from what the host sent."""
    release = os_release(reading)
    manager = reading.value("package_manager")
    bridge = reading.value("bridge")
    told = reading.exact.get(prerequisites.NETWORK_MANAGER)
    unit = reading.unit(NETWORK_MANAGER_UNIT) or {}
    return {
        "package_manager": manager if manager in platform.PACKAGE_MANAGERS else None,
        "os_release": release,
        "image": image_based.image_of(
            release.get("ID"), release.get("VARIANT_ID"), reading.value("ostree") == "yes"
        ),
        "usr": image_based.usr_is(mounts.mounted(reading)),
        "programs": _programs(reading.text("programs")),
        "kernel": reading.value("kernel") or None,
        "bridge_module": bridge == "there" if bridge in ("there", "missing") else None,
        "apparmor": _apparmor(reading),
        "network_manager": reading.value("NetworkManager") == "there",
        "told": None if told is None else text_of(told),
        "unreadable": reading.is_unreadable(prerequisites.NETWORK_MANAGER),
        "network_manager_active": unit.get("ActiveState") == "active",
    }


def _programs(lines: list[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = dict.fromkeys(prerequisites.PROGRAMS)
    for line in lines:
        name = line.rpartition("/")[2]
        # without a path it is a function or builtin of the shell, no program
        if line.startswith("/") and name in found:
            found[name] = line
    return found


def _apparmor(reading: Reading) -> bool | None:
    if reading.is_unreadable(_APPARMOR):
        return None
    return next(iter(reading.text(_APPARMOR)), "").strip() == "Y"


class Prerequisites(ProbeFact[PrerequisitesShape]):
    """
    Returns which of the programs that kubelet and kubeadm use are there
    (:class:`PrerequisitesShape`).

    .. code:: python

        {
            "package_manager": "apt-get",
            "os_release": {"ID": "debian", "VERSION_ID": "13"},
            "image": None,
            "usr": "writable",
            "programs": {"conntrack": None, "ip": "/usr/sbin/ip"},
            "kernel": "6.12.90+deb13-amd64",
            "bridge_module": True,
            "apparmor": True,
            "network_manager": True,
            "told": None,
            "unreadable": False,
            "network_manager_active": True,
        }

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.prerequisites.Prerequisites
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: Readings) -> PrerequisitesShape:
        return parse(readings[PROBE])
