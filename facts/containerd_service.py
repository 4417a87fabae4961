"""The drop-ins of containerd.service: what kubenode writes there, and what may win over it."""

from __future__ import annotations

import re
from typing import TypedDict

from kubenode.facts import containerd, runtimes
from kubenode.facts.containerd import ContainerdShape
from kubenode.run import host_script
from kubenode.runtimes.containerd import service
from kubenode.runtimes.other_runtimes import RuntimesShape
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "containerd-service"

_NR_OPEN = "/proc/sys/fs/nr_open"

_SCRIPT = host_script.read(
    __file__,
    "containerd_service.sh",
    UNIT=containerd.UNIT,
    FILES=" ".join(service.FILES),
    SOCKET=containerd.DEFAULT_SOCKET,
)


class ServiceFileShape(TypedDict):
    """A file that kubenode writes; its content stays on the host."""

    sum: str | None
    """SHA-256, None when it could not be read."""
    private: bool
    """Whether it is root's, with no permission for others."""


class ServiceShape(TypedDict):
    """What decides about containerd's environment and limits."""

    files: dict[str, ServiceFileShape]
    """Those that exist, or may."""
    drop_ins: dict[str, list[str]]
    """In systemd's order: lines of each that state LimitNOFILE or EnvironmentFile."""
    unreadable: list[str]
    nr_open: int | None
    """The most that LimitNOFILE may be."""
    changed: list[str]
    """Files of these that changed after the daemon has started."""


class ContainerdServiceShape(TypedDict):
    """What :class:`ContainerdService` returns."""

    containerd: ContainerdShape
    interrupted: bool
    """Whether a change was interrupted before CRI had answered with it."""
    runtimes: RuntimesShape
    service: ServiceShape


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(
        _SCRIPT,
        kernel_files=(_NR_OPEN,),
        units=(containerd.UNIT,),
        properties=("DropInPaths",),
        answers=("drop_ins",),
    )


def parse(reading: Reading) -> ServiceShape:
    """The shape from what the host sent."""
    modes = {
        found["path"]: found["mode"][3:] == "------" and found["uid"] == "0"
        for line in reading.text("service_modes")
        if (found := _MODE.fullmatch(line))
    }
    sums = {
        line[66:]: line[:64]
        for line in reading.text("service_sums")
        if re.fullmatch(r"[0-9a-f]{64} [ *]/.*", line)
    }
    files: dict[str, ServiceFileShape] = {}
    for path in service.FILES:
        if path in modes or path in reading.unreadable:
            files[path] = {"sum": sums.get(path), "private": modes.get(path, False)}
    paths = " ".join(reading.text("drop_ins")).split()
    nr_open = " ".join(reading.text(_NR_OPEN)).strip()
    return {
        "files": files,
        "drop_ins": {path: reading.text(path) for path in paths if path in reading.texts},
        "unreadable": [path for path in paths if path in reading.unreadable]
        + ([service.DIRECTORY] if "drop_ins" in reading.unreadable else []),
        "nr_open": int(nr_open) if re.fullmatch("[0-9]{1,10}", nr_open) else None,
        "changed": [path for path in reading.text("service_changed") if path],
    }


_MODE = re.compile(r"-(?P<mode>[rwxsStT-]{9})\S? +\d+ +(?P<uid>\d+) .*? (?P<path>/.*)")


class ContainerdService(ProbeFact[ContainerdServiceShape]):
    """
    Returns what decides about containerd's proxies and its limit of open files, and what
    :class:`kubenode.facts.containerd.Containerd` does (:class:`ContainerdServiceShape`).

    .. code:: python

        {
            "containerd": {"cri": "serving", ...},
            "interrupted": False,
            "runtimes": {"programs": ["containerd"], ...},
            "service": {
                "files": {
                    "/etc/containerd/proxy.env": {"sum": "5f1d...", "private": True},
                },
                "drop_ins": {
                    "/etc/systemd/system/containerd.service.d/http-proxy.conf": [
                        "EnvironmentFile=/etc/containerd/proxy.env",
                    ],
                },
                "unreadable": [],
                "nr_open": 1048576,
                "changed": [],
            },
        }

    Proxies, which may have a password, are not part of it.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.containerd_service.ContainerdService
    """

    def command(self) -> str:
        return self.asking(
            {
                containerd.PACKAGE_PROBE: containerd.script_package(),
                containerd.DAEMON_PROBE: containerd.script_daemon(),
                PROBE: script(),
                runtimes.PROBE: runtimes.script(),
            }
        )

    def parse(self, readings: Readings) -> ContainerdServiceShape:
        daemon = containerd.parse_daemon(
            readings[containerd.PACKAGE_PROBE], readings[containerd.DAEMON_PROBE]
        )
        return {
            "containerd": daemon.shape,
            "interrupted": daemon.unproven != [],
            "runtimes": runtimes.parse(readings),
            "service": parse(readings[PROBE]),
        }
