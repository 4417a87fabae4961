"""kubelet: its release, its service, and the settings that decide what a node must be like."""

from __future__ import annotations

import re
from typing import Any, TypedDict

from kubenode.facts import kubelet_start, sent_files
from kubenode.files.cannot_tell import CannotTell
from kubenode.kubelet import stated
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


class SettingShape(TypedDict):
    """What a setting is, and what states it."""

    value: object
    file: str
    """Or ``kubelet's command line``, ``kubelet.service``."""
    line: int | None


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
    settings: dict[str, SettingShape]
    """Those of :data:`kubenode.kubelet.fields.FIELDS` that something states, by name, as it runs or
    would be started; of a file as it is now."""
    at_next_start: dict[str, SettingShape]
    """The same, as its unit would start it."""
    other_flags: list[str]
    """Names of flags that its unit would give it, and it runs without or with another value; and
    the other way round."""
    edited: list[str] | None
    """Files of these that were changed after it started; None when that is unknown."""
    replaced: bool
    """Whether it runs a program that is no longer there."""
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
    own: dict[str, Any] = {}
    error = None
    try:
        own = settings(reading, start)
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
        "fail_swap_on": None if error else fail_swap_on(start.flags, own),
        "swap_behavior": swap_behavior(own),
        "runtime_endpoint": runtime_endpoint(start.flags, own),
        "fail_cgroup_v1": boolean(own.get("failCgroupV1")),
        "settings": {} if error else _stated(reading, start),
        **_next_start(reading, start),
        "error": error,
    }


def _stated(reading: Reading, start: kubelet_start.Start) -> dict[str, SettingShape]:
    sources = {flag.source for flag in start.flags.values()} & reading.texts.keys()
    try:
        found = stated.stated(
            files(reading, start),
            start.flags,
            {path: "\n".join(reading.text(path)) for path in sources},
        )
    except CannotTell:
        return {}
    return {
        name: {"value": each.value, "file": each.file, "line": each.line}
        for name, each in found.items()
    }


class NextStart(TypedDict):
    """How its next start differs from what runs."""

    at_next_start: dict[str, SettingShape]
    other_flags: list[str]
    edited: list[str] | None
    replaced: bool


def _next_start(reading: Reading, start: kubelet_start.Start) -> NextStart:
    following = kubelet_start.at_next_start(reading)
    is_units = "kubelet_edited" in reading.texts or "kubelet_edited" in reading.unreadable
    now, then = start.flags, following.flags
    is_known = is_units and start.error is None and following.error is None
    names = sorted(now.keys() | then.keys()) if is_known else []
    edited = [path for path in reading.text("kubelet_edited") if path]
    return {
        "at_next_start": _stated(reading, following),
        "other_flags": [
            name
            for name in names
            if name not in now or name not in then or now[name].value != then[name].value
        ],
        "edited": edited if is_units or not start.active else None,
        "replaced": reading.value("kubelet_replaced") == "yes",
    }


def unapplied(shape: KubeletShape) -> list[str]:
    """What is on disk and not in force, a phrase each; nothing of a kubelet that does not run.

    + shape: the fact
    """
    return [
        *(["its program was replaced"] if shape["replaced"] else []),
        *(f"{path} was changed since" for path in shape["edited"] or []),
        *(f"--{name} is another at its next start" for name in shape["other_flags"]),
    ]


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
            "settings": {
                "maxPods": {"value": 200, "file": "/var/lib/kubelet/config.yaml", "line": 7},
            },
            "at_next_start": {
                "maxPods": {"value": 200, "file": "/var/lib/kubelet/config.yaml", "line": 7},
            },
            "other_flags": [],
            "edited": [],
            "replaced": False,
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
