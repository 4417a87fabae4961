"""kubelet: its release, its service, and the settings that decide what a node must be like."""

from __future__ import annotations

import re
from typing import Any, TypedDict

from kubenode import cgroup_drivers, probe
from kubenode.cgroup_drivers import CannotTell
from kubenode.facts import cgroup
from kubenode.facts.probe_fact import ProbeFact

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
    config: str | None
    """Path of its configuration file, when there is one."""
    fail_swap_on: bool | None
    """``failSwapOn`` in force (default true); None when its files cannot be understood."""
    swap_behavior: str | None
    """``memorySwap.swapBehavior``, such as ``LimitedSwap``."""
    runtime_endpoint: str | None
    """``containerRuntimeEndpoint``, or the flag."""
    fail_cgroup_v1: bool | None
    """``failCgroupV1`` as stated; None when nothing states it (from 1.35 it is true)."""
    error: str | None
    """Why its files cannot be understood."""


def script() -> probe.Script:
    """The probe's script; the settings come with the cgroup drivers' probe."""
    return probe.Script(
        'value binary "$(command -v kubelet)"',
        units=("kubelet.service",),
        properties=("UnitFileState",),
        answers=("binary",),
    )


def parse(kubelet: probe.Reading, drivers: probe.Reading) -> KubeletShape:
    """The shape from what the host sent.

    + kubelet: this module's probe
    + drivers: the reading of :data:`kubenode.facts.cgroup.DRIVERS_PROBE`
    """
    config = drivers.value("kubelet_config") or cgroup.KUBELET_CONFIG
    version = re.fullmatch(
        r"Kubernetes v(\d{1,4}\.\d{1,4}\.\d{1,4}[0-9A-Za-z.+-]*)",
        drivers.value("kubelet_version") or "",
    )
    unit = kubelet.unit("kubelet.service") or {}
    settings: dict[str, Any] = {}
    error = cgroup.unreadable(
        drivers, config, drivers.value("kubelet_drop_ins") or config, *cgroup.KUBELET_FLAGS
    )
    if error:
        error = f"cannot read {error}"
    else:
        try:
            files = cgroup.files(drivers, [config], drivers.value("kubelet_drop_ins"))
            settings = cgroup_drivers.kubelet_settings(files)
        except CannotTell as trouble:
            error = str(trouble)
    flags = _flags(drivers)
    fail_swap_on = (
        _truth(flags["fail-swap-on"])
        if "fail-swap-on" in flags
        else _boolean(settings.get("failSwapOn", True))
    )
    memory_swap = settings.get("memorySwap")
    behavior = memory_swap.get("swapBehavior") if isinstance(memory_swap, dict) else None
    endpoint = flags.get("container-runtime-endpoint", settings.get("containerRuntimeEndpoint"))
    return {
        "version": version[1] if version else None,
        "binary": kubelet.value("binary") or None,
        "active": bool(" ".join(drivers.text("kubelet_arguments")).strip()),
        "enabled": (unit.get("UnitFileState") or None)
        if unit.get("LoadState") not in (None, "not-found")
        else None,
        "config": config if config in drivers.texts else None,
        "fail_swap_on": None if error else fail_swap_on,
        "swap_behavior": behavior if isinstance(behavior, str) else None,
        "runtime_endpoint": endpoint if isinstance(endpoint, str) else None,
        "fail_cgroup_v1": _boolean(settings.get("failCgroupV1")),
        "error": error,
    }


def _flags(drivers: probe.Reading) -> dict[str, str]:
    """The flags that matter here, of the environment files and of the running process."""
    lines = [
        line
        for path in cgroup.KUBELET_FLAGS
        for line in drivers.text(path)
        if not line.lstrip().startswith("#")
    ]
    arguments = " ".join([*lines, *drivers.text("kubelet_arguments")])
    return {
        name: value or "true"
        for name, value in re.findall(
            r"--(fail-swap-on|container-runtime-endpoint)(?:[= ]([^\s\"'-][^\s\"']*))?", arguments
        )
    }


def _truth(flag: str) -> bool | None:
    # Go's strconv.ParseBool
    spelled = {
        True: ("1", "t", "T", "TRUE", "true", "True"),
        False: ("0", "f", "F", "FALSE", "false", "False"),
    }
    return next((truth for truth, texts in spelled.items() if flag in texts), None)


def _boolean(value: object) -> bool | None:
    # kubelet does not start with "false" in quotes
    return value if isinstance(value, bool) else None


class Kubelet(ProbeFact[KubeletShape]):
    """
    Returns kubelet's release, service, and the settings that a node is judged by
    (:class:`KubeletShape`).

    Flags win over drop-ins, drop-ins over the file, as the Kubernetes page "Set Kubelet parameters
    via a configuration file" says.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.kubelet.Kubelet
    """

    def command(self) -> str:
        return self.asking({PROBE: script(), cgroup.DRIVERS_PROBE: cgroup.script_drivers()})

    def parse(self, readings: probe.Readings) -> KubeletShape:
        return parse(readings[PROBE], readings[cgroup.DRIVERS_PROBE])
