"""The CNI plugins on a host: from which package or release archive they are."""

from __future__ import annotations

from typing import TypedDict

from kubenode.facts import image_based, packages
from kubenode.facts.image_based import SystemShape
from kubenode.facts.runtime import PackageShape
from kubenode.packages import plugins_change
from kubenode.packages.archive import ARCHITECTURES
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "cni-plugins"

PACKAGES = {
    "apt-get": "containernetworking-plugins",
    "dnf": "containernetworking-plugins",
    "zypper": "cni-plugins",
}
"""The distributions' packages, by package manager."""


class NotedShape(TypedDict):
    """A release whose archive was unpacked."""

    version: str
    sha256: str
    """Of the archive."""
    directory: str
    plugins: list[str]
    whole: bool | None
    """Whether each of them is as it was unpacked; None where that cannot be told."""


class CniPluginsShape(TypedDict):
    """What :class:`CniPlugins` returns."""

    architecture: str | None
    """As releases call it, ``amd64`` or ``arm64``; None for another one."""
    package: PackageShape | None
    """The distribution's package, None when it is not installed."""
    dpkg_interrupted: bool
    """Whether dpkg was stopped at its work, on any package."""
    dpkg_at_work: str | None
    """The process that has a lock of dpkg's or apt's, as ``PID NAME``."""
    archive: NotedShape | None
    """None: no archive was unpacked by kubenode, or its note is not whole."""
    system: SystemShape


_PACKAGES = tuple(dict.fromkeys(PACKAGES.values()))


def script() -> probe.Script:
    """The probe's script."""
    own = host_script.read(__file__, "cni_plugins.sh", NOTE=plugins_change.NOTE)
    return probe.Script(
        f"{own}\n{packages.shell(_PACKAGES)}",
        programs=("uname",),
        at_times=("sed", "sha256sum"),
        answers=("machine", "note"),
    )


def parse(reading: Reading, system: SystemShape) -> CniPluginsShape:
    """The shape from what the host sent."""
    reading.known("note")
    found = packages.parse(reading, _PACKAGES)
    noted = plugins_change.read_note(reading.text("note"))
    whole = None if "whole" in reading.unreadable else reading.value("whole") == "yes"
    return {
        "architecture": ARCHITECTURES.get(reading.value("machine") or ""),
        "package": found["installed"][0] if found["installed"] else None,
        "dpkg_interrupted": found["dpkg_interrupted"],
        "dpkg_at_work": found["dpkg_at_work"],
        "archive": None
        if noted is None
        else {
            "version": noted.version,
            "sha256": noted.sha256,
            "directory": noted.directory,
            "plugins": list(noted.plugins),
            "whole": whole,
        },
        "system": system,
    }


class CniPlugins(ProbeFact[CniPluginsShape]):
    """
    Returns from which package or release archive a host's CNI plugins are
    (:class:`CniPluginsShape`). Which of them containerd finds is in
    :class:`kubenode.facts.containerd.Containerd`.

    .. code:: python

        {
            "architecture": "amd64",
            "package": None,
            "dpkg_interrupted": False,
            "dpkg_at_work": None,
            "archive": {
                "version": "1.9.1",
                "sha256": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                "directory": "/opt/cni/bin",
                "plugins": ["bridge", "host-local", "loopback", "portmap"],
                "whole": True,
            },
            "system": {"image": None, "usr": "writable"},
        }

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.cni_plugins.CniPlugins
    """

    def command(self) -> str:
        return self.asking({PROBE: script(), image_based.PROBE: image_based.script()})

    def parse(self, readings: Readings) -> CniPluginsShape:
        return parse(readings[PROBE], image_based.parse(readings[image_based.PROBE]))
