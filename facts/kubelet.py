"""kubelet: its release, its service, and the settings that decide what a node must be like."""

from __future__ import annotations

import re
from typing import Any, TypedDict

from kubenode.facts import kubelet_start, sent_files
from kubenode.files.cannot_tell import CannotTell
from kubenode.kubelet.config import (
    boolean,
    fail_swap_on,
    kubelet_settings,
    runtime_endpoint,
    swap_behavior,
)
from kubenode.linux.unit import STARTED_BY, started_by
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

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
    """The probe's script."""
    return probe.Script(
        f'value binary "$(command -v kubelet)"\n{kubelet_start.SCRIPT}',
        files=(kubelet_start.CONFIG, *kubelet_start.ENVIRONMENT_FILES),
        units=(kubelet_start.UNIT,),
        properties=("UnitFileState", *STARTED_BY, *kubelet_start.PROPERTIES),
        at_times=("sed",),
        answers=("binary",),
    )


def files(reading: Reading, start: kubelet_start.Start) -> list[tuple[str, str]]:
    """Path and text of kubelet's configuration file and then of its drop-ins."""
    return sent_files.texts(reading, [start.config] if start.config else [], start.drop_ins)


def unreadable(reading: Reading, start: kubelet_start.Start) -> str | None:
    """The first of kubelet's configuration files that could not be read, and why."""
    return sent_files.unreadable(reading, *filter(None, (start.config, start.drop_ins)))


def settings(reading: Reading, start: kubelet_start.Start) -> dict[str, Any]:
    """kubelet's settings of its files, flags apart; CannotTell when they cannot be told."""
    if start.error is not None:
        raise CannotTell(start.error)
    if path := unreadable(reading, start):
        raise CannotTell(f"cannot read {path}")
    return kubelet_settings(files(reading, start))


def parse(reading: Reading) -> KubeletShape:
    """The shape from what the host sent."""
    start = kubelet_start.parse(reading)
    version = re.fullmatch(
        r"Kubernetes v(\d{1,4}\.\d{1,4}\.\d{1,4}[0-9A-Za-z.+-]*)",
        reading.value("kubelet_version") or "",
    )
    unit = reading.unit(kubelet_start.UNIT) or {}
    stated: dict[str, Any] = {}
    error = None
    try:
        stated = settings(reading, start)
    except CannotTell as trouble:
        error = str(trouble)
    return {
        "version": version[1] if version else None,
        "binary": reading.value("binary") or None,
        "active": start.active,
        "enabled": (unit.get("UnitFileState") or None)
        if unit.get("LoadState") not in (None, "not-found")
        else None,
        "wanted_by": started_by(unit),
        "config": start.config if start.config in reading.texts else None,
        "fail_swap_on": None if error else fail_swap_on(start.flags, stated),
        "swap_behavior": swap_behavior(stated),
        "runtime_endpoint": runtime_endpoint(start.flags, stated),
        "fail_cgroup_v1": boolean(stated.get("failCgroupV1")),
        "error": error,
    }


class Kubelet(ProbeFact[KubeletShape]):
    """
    Returns kubelet's release, service, and the settings that a node is judged by
    (:class:`KubeletShape`).

    .. code:: python

        {
            "version": "1.36.2",
            "binary": "/usr/bin/kubelet",
            "active": True,
            "enabled": "enabled",
            "wanted_by": ["multi-user.target"],
            "config": "/var/lib/kubelet/config.yaml",
            "fail_swap_on": False,
            "swap_behavior": "LimitedSwap",
            "runtime_endpoint": "unix:///run/containerd/containerd.sock",
            "fail_cgroup_v1": None,
            "error": None,
        }

    Flags win over drop-ins, drop-ins over the file, as the Kubernetes page "Set Kubelet parameters
    via a configuration file" says. A kubelet that does not run has the flags that its unit would
    start it with.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.kubelet.Kubelet
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: Readings) -> KubeletShape:
        return parse(readings[PROBE])
