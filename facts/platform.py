"""What kind of host this is: operating system, privileges, package manager, init and cgroups."""

from __future__ import annotations

from typing import TypedDict

from kubenode.facts import cgroup, mounts, runtimes
from kubenode.facts.os_release import os_release
from kubenode.linux import image_based
from kubenode.run import host_script
from kubenode.runtimes.other_runtimes import RuntimesShape
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "platform"

PACKAGE_MANAGERS = ("apt-get", "dnf", "zypper")


class PlatformShape(TypedDict):
    """What :class:`Platform` returns."""

    kernel: str | None
    """Kernel name, ``Linux`` on a host that can be a node."""
    uid: int | None
    """User the fact runs as; 0 is root, also by way of sudo."""
    sudo: bool
    """Whether this user, not being root, can become root by sudo without a password."""
    os_id: str | None
    """``ID`` of os-release(5), such as ``debian``."""
    os_version: str | None
    """``VERSION_ID`` of os-release(5); testing distributions have none."""
    os_name: str | None
    """``PRETTY_NAME`` of os-release(5)."""
    image: str | None
    """What kind of image the system is, such as ``Flatcar``; None: packages make it. See
    :mod:`kubenode.linux.image_based`."""
    usr: image_based.Usr | None
    """Whether ``/usr`` can be written to, None when that cannot be told."""
    package_manager: str | None
    """``apt-get``, ``dnf`` or ``zypper``, None when the host has none of them."""
    cgroups: cgroup.CgroupsShape
    runtimes: RuntimesShape


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(
        host_script.read(__file__, "platform.sh", PACKAGE_MANAGERS=" ".join(PACKAGE_MANAGERS)),
        files=("/etc/os-release",),
        answers=("kernel", "uid"),
    )


def parse(platform: Reading, cgroups: Reading, others: RuntimesShape) -> PlatformShape:
    """The shape from what the host sent."""
    uid = platform.value("uid") or ""
    release = os_release(platform)
    manager = platform.value("package_manager")
    return {
        "kernel": platform.value("kernel") or None,
        "uid": int(uid) if uid.isdecimal() else None,
        "sudo": platform.value("sudo") == "0",
        "os_id": release.get("ID"),
        "os_version": release.get("VERSION_ID"),
        "os_name": release.get("PRETTY_NAME"),
        "image": image_based.image_of(
            release.get("ID"), release.get("VARIANT_ID"), platform.value("ostree") == "yes"
        ),
        "usr": image_based.usr_is(mounts.mounted(cgroups)),
        "package_manager": manager if manager in PACKAGE_MANAGERS else None,
        "cgroups": cgroup.parse_cgroups(cgroups),
        "runtimes": others,
    }


class Platform(ProbeFact[PlatformShape]):
    """
    Returns what decides whether kubenode can prepare a host at all (:class:`PlatformShape`).

    .. code:: python

        {
            "kernel": "Linux",
            "uid": 0,
            "sudo": False,
            "os_id": "debian",
            "os_version": "13",
            "os_name": "Debian GNU/Linux 13 (trixie)",
            "image": None,
            "usr": "writable",
            "package_manager": "apt-get",
            "cgroups": {"mode": "v2", ...},
            "runtimes": {
                "units": {"crio.service": {"active": "active", "enabled": True, "listens": []}},
                "sockets": ["/run/crio/crio.sock"],
                "programs": ["crio"],
                "kubelet_endpoint": "unix:///run/crio/crio.sock",
                "crictl_endpoint": None,
                "unknown": [],
                "users_unknown": [],
            },
        }

    **Example:**

    .. code:: shell

        pyinfra INVENTORY fact kubenode.facts.platform.Platform
    """

    def command(self) -> str:
        return self.asking(
            {
                PROBE: script(),
                cgroup.CGROUPS_PROBE: cgroup.script_cgroups(),
                runtimes.PROBE: runtimes.script(),
            }
        )

    def parse(self, readings: Readings) -> PlatformShape:
        return parse(readings[PROBE], readings[cgroup.CGROUPS_PROBE], runtimes.parse(readings))
