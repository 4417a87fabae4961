"""kubelet: its release, its service, and the settings that decide what a node must be like."""

from __future__ import annotations

import re
from typing import Any, TypedDict

from kubenode.facts import cgroup, kubelet_start
from kubenode.kubelet import command_line
from kubenode.linux.unit import STARTED_BY, started_by
from kubenode.runtimes.cgroup_drivers import CannotTell
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact

PROBE = "kubelet"


class KubeletShape(TypedDict):
    """What :class:`Kubelet` returns."""

    version: str | None
    """Such as ``1.36.2``; None when it is not installed or does not say."""
    binary: str | None
    active: bool | None
    """Whether a kubelet process runs; None when that is unknown."""
    enabled: str | None
    """``UnitFileState`` of kubelet.service, None when there is no such unit."""
    wanted_by: list[str]
    """Units that start it, such as ``multi-user.target``."""
    config: str | None
    """Path of its configuration file, when it is told one and that is there."""
    fail_swap_on: bool | None
    """``failSwapOn`` in force (default true); None when its files cannot be understood."""
    swap_behavior: str | None
    """``memorySwap.swapBehavior``, such as ``LimitedSwap``."""
    runtime_endpoint: str | None
    """``containerRuntimeEndpoint``, or the flag."""
    fail_cgroup_v1: bool | None
    """``failCgroupV1`` as stated; None when nothing states it (from 1.35 it is true)."""
    error: str | None
    """Why its flags or files cannot be told or understood."""


def script() -> probe.Script:
    """The probe's script; the settings come with the cgroup drivers' probe."""
    return probe.Script(
        'value binary "$(command -v kubelet)"',
        units=("kubelet.service",),
        properties=("UnitFileState", *STARTED_BY),
        answers=("binary",),
    )


def parse(kubelet: probe.Reading, drivers: probe.Reading) -> KubeletShape:
    """The shape from what the host sent.

    + kubelet: this module's probe
    + drivers: the reading of :data:`kubenode.facts.cgroup.DRIVERS_PROBE`
    """
    start = kubelet_start.parse(drivers)
    version = re.fullmatch(
        r"Kubernetes v(\d{1,4}\.\d{1,4}\.\d{1,4}[0-9A-Za-z.+-]*)",
        drivers.value("kubelet_version") or "",
    )
    unit = kubelet.unit(kubelet_start.UNIT) or {}
    settings: dict[str, Any] = {}
    error = None
    try:
        settings = cgroup.kubelet_settings(drivers, start)
    except CannotTell as trouble:
        error = str(trouble)
    fail_swap_on = start.flags.get("fail-swap-on")
    memory_swap = settings.get("memorySwap")
    behavior = memory_swap.get("swapBehavior") if isinstance(memory_swap, dict) else None
    return {
        "version": version[1] if version else None,
        "binary": kubelet.value("binary") or None,
        "active": start.active,
        "enabled": (unit.get("UnitFileState") or None)
        if unit.get("LoadState") not in (None, "not-found")
        else None,
        "wanted_by": started_by(unit),
        "config": start.config if start.config in drivers.texts else None,
        "fail_swap_on": None
        if error
        else _boolean(settings.get("failSwapOn", True))
        if fail_swap_on is None
        else command_line.truth(fail_swap_on),
        "swap_behavior": behavior if isinstance(behavior, str) else None,
        "runtime_endpoint": cgroup.kubelet_endpoint(start, settings),
        "fail_cgroup_v1": _boolean(settings.get("failCgroupV1")),
        "error": error,
    }


def _boolean(value: object) -> bool | None:
    # kubelet does not start with "false" in quotes
    return value if isinstance(value, bool) else None


class Kubelet(ProbeFact[KubeletShape]):
    """
    Returns kubelet's release, service, and the settings that a node is judged by
    (:class:`KubeletShape`).

    Flags win over drop-ins, drop-ins over the file, as the Kubernetes page "Set Kubelet parameters
    via a configuration file" says. A kubelet that does not run has the flags that its unit would
    start it with.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.kubelet.Kubelet
    """

    def command(self) -> str:
        return self.asking({PROBE: script(), cgroup.DRIVERS_PROBE: cgroup.script_drivers()})

    def parse(self, readings: probe.Readings) -> KubeletShape:
        return parse(readings[PROBE], readings[cgroup.DRIVERS_PROBE])
