"""What the running kernel was built with, as far as Kubernetes asks for it."""

from __future__ import annotations

from typing import TypedDict

from kubenode.linux import kernel_modules
from kubenode.linux.kernel_config import ALIASES, FILES, OPTIONAL, REQUIRED, Built, proven, stated
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "kernel-config"


class KernelConfigShape(TypedDict):
    """What :class:`KernelConfig` returns."""

    file: str | None
    """Where it was read from; None when the host has no kernel configuration that can be read."""
    options: dict[str, Built]
    """By name with ``CONFIG_``, of ``REQUIRED`` and ``OPTIONAL`` in
    :mod:`kubenode.linux.kernel_config`. Without a file only those that something else proves to be
    there (``/proc/self/ns``, ``/proc/cgroups``, ``/proc/filesystems``, the v2 controllers): an
    option that is not listed is unknown."""


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


def parse(reading: Reading) -> KernelConfigShape:
    """The shape from what the host sent."""
    file = reading.value("config_file")
    options = stated(reading.text("config")) if file else _proven(reading)
    known = {name: options[name] for name in (*REQUIRED, *OPTIONAL) if name in options}
    if file:
        # a complete file leaves out what depends on something that is off
        known = {name: known.get(name, "n") for name in (*REQUIRED, *OPTIONAL)}
    return {"file": file, "options": known}


def _proven(reading: Reading) -> dict[str, Built]:
    controllers = set(" ".join(reading.text("/sys/fs/cgroup/cgroup.controllers")).split())
    controllers |= {line.split()[0] for line in reading.text("/proc/cgroups") if line.split()}
    return proven(
        namespaces=reading.text("namespaces"),
        controllers=controllers,
        file_systems={
            line.split()[-1] for line in reading.text("/proc/filesystems") if line.split()
        },
        has_tcp=bool(reading.value("tcp")),
    )


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

    def parse(self, readings: Readings) -> KernelConfigShape:
        return parse(readings[PROBE])
