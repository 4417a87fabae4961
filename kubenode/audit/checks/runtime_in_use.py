"""The runtime that a host's pods run by, as far as every runtime's checks look at it.

What a runtime's own facts mean for them is worked out here: a second runtime with a fact gets a
function beside :func:`_containerd`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from packaging.version import Version

from kubenode.audit.checks import containerd_files
from kubenode.audit.checks.check import Subject, Verdict, not_applicable
from kubenode.audit.checks.references import (
    CRI_ENABLED,
    DEFAULT_HANDLER,
    REGISTRY,
    RUNTIME_INSTALLED,
    Reference,
)
from kubenode.facts.containerd import ContainerdShape
from kubenode.facts.runtime import RuntimeShape
from kubenode.runtimes.containerd import releases

NAME = "containerd"
"""What kubenode installs where there is no runtime yet."""


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
        return not_applicable(f"{NAME} is not installed, {RUNTIME_INSTALLED}")
    return None


def in_use(subject: Subject) -> RuntimeInUse | Verdict:
    """The runtime that kubelet uses; a verdict where it has no fact, or is not installed."""
    return _not_there(subject) or _containerd(subject)


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
        return _not_there(subject) or judge(subject, subject.containerd)

    return judge_containerd
