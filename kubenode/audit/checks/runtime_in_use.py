"""The runtime that a host's pods run by, as far as every runtime's checks look at it.

What a runtime's own facts mean for them is worked out here: a second runtime with a fact gets a
function beside :func:`_containerd`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from packaging.version import InvalidVersion, Version

from kubenode.audit.checks import containerd_files, crio_files
from kubenode.audit.checks.check import Subject, Verdict, not_applicable
from kubenode.audit.checks.references import (
    CRI_ENABLED,
    DEFAULT_HANDLER,
    DOCKER_KEYS,
    MONITOR_CGROUP,
    REGISTRY,
    RUNTIME_CONFIG,
    RUNTIME_INSTALLED,
    Reference,
)
from kubenode.facts.containerd import ContainerdShape
from kubenode.facts.crio import CrioShape
from kubenode.facts.runtime import RuntimeShape
from kubenode.runtimes import other_runtimes
from kubenode.runtimes.containerd import releases
from kubenode.runtimes.crio import releases as crio_releases
from kubenode.runtimes.other_runtimes import OtherRuntime
from kubenode.runtimes.runtime import CONTAINERD, CRIO, DOCKER


@dataclass(frozen=True)
class Series:
    """What upstream says of the series that a release is of."""

    name: str
    end_of_life: date


@dataclass(frozen=True)
class RuntimeInUse:
    """A runtime that is installed, and what follows from its own facts."""

    name: str
    service: str
    shape: RuntimeShape
    version: Version | None
    """None: the program does not say."""
    series: Series | None
    """None: newer than the table."""
    trouble: str | None
    """Why its files cannot be used; the checks of :attr:`finding` may have another reason."""
    troubled_file: str
    finding: Reference | None
    """The check whose finding says why its files cannot be used."""
    cri_off: Reference | None
    """The check whose finding is that a file turns CRI off."""
    cri_fails: Reference | None
    """The check whose finding is that CRI does not start with these files."""
    why_not_asked: str
    """Why it cannot be told whether CRI answers, where that is so."""
    unproven: tuple[str, ...]
    """Files of a change that was interrupted before CRI had answered with it."""
    replaced: str | None = None
    """What runs, and what is there, of a program that was exchanged after the daemon started."""
    no_table: str | None = None
    """Why nothing is known of upstream's support, where that is so."""


def _containerd(subject: Subject) -> RuntimeInUse:
    containerd = subject.containerd
    version = containerd_files.version_of(containerd)
    return RuntimeInUse(
        name="containerd",
        service="containerd.service",
        shape=containerd,
        version=version,
        series=_series(version),
        trouble=containerd_files.config_trouble(containerd),
        troubled_file=containerd_files.troubled_file(containerd),
        finding=containerd_files.config_finding(containerd),
        cri_off=CRI_ENABLED if containerd_files.cri_disabled(containerd) else None,
        cri_fails=_cri_fails(containerd),
        why_not_asked=(
            "not allowed to ask it" if containerd["ctr"] else "there is no ctr to ask it with"
        ),
        unproven=tuple(subject.facts["containerd_unproven"] or ()),
        replaced=_replaced(containerd),
    )


def _replaced(containerd: ContainerdShape) -> str | None:
    if not containerd["program_replaced"]:
        return None
    running = containerd["running_version"] or "of an unknown version"
    there = containerd["installed"]["version"] or "of an unknown version"
    return f"containerd {running} runs, and {there} is at {containerd['installed']['binary']}"


def _crio(subject: Subject) -> RuntimeInUse:
    crio = subject.crio
    stated = crio["installed"]["version"]
    version = Version(stated) if stated else None
    error = crio["config"]["error"]
    named = re.match(r"(/[^:]*)", error or "")
    known = version is not None and not crio_releases.is_newer_than_known(version)
    release = crio_releases.release_of(version)
    finding = RUNTIME_CONFIG if error else None
    if finding is None and crio_files.monitor_troubles(crio):
        finding = MONITOR_CGROUP
    return RuntimeInUse(
        name=CRIO.cri,
        service=CRIO.service,
        shape=crio,
        version=version,
        series=Series(release.series, release.end_of_life) if known else None,
        trouble=error,
        troubled_file=named[1] if named else crio["config"]["path"],
        finding=finding,
        cri_off=None,
        cri_fails=None,
        why_not_asked="not allowed to ask it, or its program does not answer",
        unproven=(),
    )


def _cri_fails(containerd: ContainerdShape) -> Reference | None:
    if containerd["registry_conflict"]:
        return REGISTRY
    return DEFAULT_HANDLER if containerd_files.undefined_default(containerd) else None


def _series(version: Version | None) -> Series | None:
    if version is None or releases.is_newer_than_known(version):
        return None
    release = releases.release_of(version)
    return Series(f"{release.series}{' (LTS)' if release.is_lts else ''}", release.end_of_life)


def _not_there(subject: Subject) -> Verdict | None:
    if other := subject.other_runtime:
        return not_applicable(f"the runtime is {other}")
    if subject.runtime["installed"]["binary"] is None:
        return not_applicable(f"{subject.runtime_row.cri} is not installed, {RUNTIME_INSTALLED}")
    return None


_NOT_ASKED = {
    "unasked": "there is neither docker nor curl to ask Docker Engine with",
    "forbidden": "not allowed to ask Docker Engine",
    "distrusted": "others than root decide who answers at Docker Engine's socket",
    "elsewhere": "Docker Engine does not listen at its usual place",
}


def _docker(subject: Subject) -> RuntimeInUse:
    docker = subject.docker
    error = docker["config"]["error"]
    keys = [*docker["in_both"], *docker["unknown_keys"]]
    return RuntimeInUse(
        name="Docker Engine",
        service=DOCKER.service,
        shape=docker,
        version=version_of(docker["installed"]["version"]),
        series=None,
        trouble=error,
        troubled_file=docker["config"]["path"],
        finding=RUNTIME_CONFIG if error else DOCKER_KEYS if keys else None,
        cri_off=None,
        cri_fails=None,
        why_not_asked=_NOT_ASKED.get(docker["asked"], "it does not answer"),
        unproven=tuple(docker["unproven"]),
        no_table="kubenode has no table of Docker's releases",
    )


def version_of(text: str | None) -> Version | None:
    """A release that a program has named; None where it is none."""
    try:
        return None if text is None else Version(text)
    except InvalidVersion:
        return None


_OF: Mapping[str, Callable[[Subject], RuntimeInUse]] = {
    CONTAINERD.name: _containerd,
    CRIO.name: _crio,
    DOCKER.name: _docker,
}
"""By the name in the runtime's row: what follows from its own facts."""


def in_use(subject: Subject) -> RuntimeInUse | Verdict:
    """The runtime that kubelet uses; a verdict where it has no fact, or is not installed."""
    return _not_there(subject) or _OF[subject.runtime_row.name](subject)


def beside(subject: Subject) -> list[OtherRuntime]:
    """The runtimes beside the one that kubelet uses that run, or start at boot."""
    others = other_runtimes.in_use(subject.platform["runtimes"], subject.runtime_row)
    return [other for other in others if other.state != "is used"]


def of_runtime(
    judge: Callable[[Subject, RuntimeInUse], Verdict],
) -> Callable[[Subject], Verdict]:
    """A judge that is asked only about hosts with a runtime that there is a fact of."""

    def judge_runtime(subject: Subject) -> Verdict:
        runtime = in_use(subject)
        return runtime if isinstance(runtime, Verdict) else judge(subject, runtime)

    return judge_runtime


def of_containerd(
    judge: Callable[[Subject, ContainerdShape], Verdict],
) -> Callable[[Subject], Verdict]:
    """A judge that is asked only about hosts with containerd as their runtime."""

    def judge_containerd(subject: Subject) -> Verdict:
        if verdict := _not_there(subject):
            return verdict
        if subject.runtime_row is not CONTAINERD:
            return not_applicable(f"the runtime is {subject.runtime_row.cri}")
        return judge(subject, subject.containerd)

    return judge_containerd


def of_crio(judge: Callable[[Subject, CrioShape], Verdict]) -> Callable[[Subject], Verdict]:
    """A judge that is asked only about hosts with CRI-O as their runtime."""

    def judge_crio(subject: Subject) -> Verdict:
        if verdict := _not_there(subject):
            return verdict
        if subject.runtime_row is not CRIO:
            return not_applicable(f"the runtime is {subject.runtime_row.cri}")
        return judge(subject, subject.crio)

    return judge_crio
