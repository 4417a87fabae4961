"""What a check is: data about one rule, and a pure function from a host's facts to a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, cast

from kubenode.linux.cgroups import Driver
from kubenode.profiles import ProfileName
from kubenode.runtimes import other_runtimes
from kubenode.runtimes.runtime import (
    CONTAINERD,
    CRIO,
    DOCKER,
    RUNTIMES,
    Runtime,
    named,
    of_endpoint,
)
from kubenode.settings import DEFAULTS

if TYPE_CHECKING:
    from kubenode.facts.certificates import CertificatesShape
    from kubenode.facts.cgroup import CgroupDriversShape, CgroupsShape
    from kubenode.facts.container_cgroups import ContainerCgroupsShape
    from kubenode.facts.containerd import ContainerdShape
    from kubenode.facts.crictl import CrictlShape
    from kubenode.facts.crio import CrioShape
    from kubenode.facts.docker import DockerShape
    from kubenode.facts.kernel import KernelModulesShape, SysctlsShape
    from kubenode.facts.kernel_config import KernelConfigShape
    from kubenode.facts.kubeadm import KubeadmShape
    from kubenode.facts.kubelet import KubeletShape
    from kubenode.facts.kubernetes_keys import KubernetesKeysShape
    from kubenode.facts.left_alone import LeftAloneShape
    from kubenode.facts.logind import LogindShape
    from kubenode.facts.machine import MachineShape
    from kubenode.facts.network import NetworkShape
    from kubenode.facts.node import NodeShape
    from kubenode.facts.platform import PlatformShape
    from kubenode.facts.runtime import RuntimeShape
    from kubenode.facts.swap import SwapShape

_DEFAULT = named(DEFAULTS.runtime)

State = Literal["pass", "warn", "fail", "unknown", "not-applicable"]
Severity = Literal["warn", "fail"]


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on: a line of a file, or a sentence."""

    text: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        if self.file is None:
            return self.text
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.text}" if self.text else place


@dataclass(frozen=True)
class Verdict:
    """What a check says of one host."""

    outcome: Literal["met", "violated", "unknown", "not-applicable"]
    found: str
    """One line: what is there, or why it cannot be told, or why the check does not apply."""
    evidence: tuple[Evidence, ...] = ()
    expected: str | None = None
    """In place of the check's own text, where it depends on the host or the aim."""
    remedy: str | None = None
    """In place of the check's own text, where the host decides what to do."""
    severity: Severity | None = None
    """In place of the check's own, where the host makes it less, or more, serious."""


def met(found: str, *evidence: Evidence, **rest: Any) -> Verdict:
    """The host is as it should be."""
    return Verdict("met", found, evidence, **rest)


def violated(found: str, *evidence: Evidence, **rest: Any) -> Verdict:
    """The host is not as it should be; how serious that is, the check says."""
    return Verdict("violated", found, evidence, **rest)


def unknown(why: str, *evidence: Evidence, **rest: Any) -> Verdict:
    """It cannot be told; never for what is known to be absent."""
    return Verdict("unknown", why, evidence, **rest)


def not_applicable(why: str, *evidence: Evidence) -> Verdict:
    """The rule does not concern this host."""
    return Verdict("not-applicable", why, evidence)


@dataclass(frozen=True)
class Aim:
    """What a host is judged for; :func:`kubenode.audit.aim.aim` makes it of a host's settings."""

    kubernetes: tuple[int, int] | None = None
    """Release the node is for, such as (1, 36); None: that of its kubelet, when it has one."""
    profiles: frozenset[ProfileName] = frozenset(DEFAULTS.profiles)
    runtime: Runtime = _DEFAULT
    """``kubenode_runtime``."""
    cgroup_driver: Driver = DEFAULTS.cgroup_driver
    modules: tuple[str, ...] = tuple(DEFAULTS.modules)
    """``kubenode_modules``."""
    sysctls: Mapping[str, str] = field(
        default_factory=lambda: {key: str(value) for key, value in DEFAULTS.sysctls.items()}
    )
    """``kubenode_sysctls``, values as text."""
    pause_image: str | None = DEFAULTS.pause_image
    """``kubenode_pause_image``."""
    today: date = field(default_factory=date.today)
    """For ends of life."""


class PartMissing(Exception):
    """A part of the host's answer that the check needs is not there."""


@dataclass(frozen=True)
class Subject:
    """One host, as a check sees it: facts and aim.

    A part that the host did not answer raises :class:`PartMissing`, and :func:`verdict_of` makes an
    unknown of that: a check needs no code for it.
    """

    facts: NodeShape
    aim: Aim

    @property
    def runtime_row(self) -> Runtime:
        """The runtime that kubelet uses. MCR is :data:`DOCKER` here: only its packages tell.

        Where kubelet is told none, it is the wanted one if that is installed, else what is in use.
        """
        try:
            endpoint = self.kubelet["runtime_endpoint"]
        except PartMissing:
            endpoint = None
        if endpoint is not None:
            return of_endpoint(endpoint) or CONTAINERD
        wanted = of_endpoint(self.aim.runtime.socket) or CONTAINERD
        if self._is_installed(wanted):
            return wanted
        try:
            others = other_runtimes.in_use(self.platform["runtimes"], wanted)
        except PartMissing:
            return wanted
        names = [other.name for other in others]
        return next((row for row in RUNTIMES if row.cri in names), wanted)

    def _is_installed(self, row: Runtime) -> bool:
        if row is CONTAINERD:
            return self.containerd["installed"]["binary"] is not None
        try:
            return bool({*row.programs} & {*self.platform["runtimes"]["programs"]})
        except PartMissing:
            return False

    @property
    def other_runtime(self) -> str | None:
        """The runtime that kubelet uses and that there is no fact of; None: there is one."""
        row = self.runtime_row
        return None if row.name in _PARTS else row.cri

    @property
    def runtime(self) -> RuntimeShape:
        """What all runtimes have in common, of the one that kubelet uses.

        PartMissing where that is one of which there is no fact.
        """
        row = self.runtime_row
        if row.name not in _PARTS:
            raise PartMissing(f"the runtime is {row.cri}, which kubenode has no fact of")
        return cast("RuntimeShape", self._part(_PARTS[row.name]))

    def _part(self, name: str) -> Any:
        # the deploy judges by the few parts that it has read
        part = cast(Mapping[str, Any], self.facts).get(name)
        if part is None:
            raise PartMissing(self.facts["missing"].get(name, f"no answer to {name}"))
        return part

    @property
    def platform(self) -> PlatformShape:
        return cast("PlatformShape", self._part("platform"))

    @property
    def cgroups(self) -> CgroupsShape:
        return cast("CgroupsShape", self._part("cgroups"))

    @property
    def cgroup_drivers(self) -> CgroupDriversShape:
        return cast("CgroupDriversShape", self._part("cgroup_drivers"))

    @property
    def container_cgroups(self) -> ContainerCgroupsShape:
        return cast("ContainerCgroupsShape", self._part("container_cgroups"))

    @property
    def containerd(self) -> ContainerdShape:
        return cast("ContainerdShape", self._part("containerd"))

    @property
    def crio(self) -> CrioShape:
        return cast("CrioShape", self._part("crio"))

    @property
    def docker(self) -> DockerShape:
        return cast("DockerShape", self._part("docker"))

    @property
    def crictl(self) -> CrictlShape:
        return cast("CrictlShape", self._part("crictl"))

    @property
    def left_alone(self) -> LeftAloneShape:
        return cast("LeftAloneShape", self._part("left_alone"))

    @property
    def kubelet(self) -> KubeletShape:
        return cast("KubeletShape", self._part("kubelet"))

    @property
    def kubeadm(self) -> KubeadmShape:
        return cast("KubeadmShape", self._part("kubeadm"))

    @property
    def kubernetes_keys(self) -> KubernetesKeysShape:
        return cast("KubernetesKeysShape", self._part("kubernetes_keys"))

    @property
    def certificates(self) -> CertificatesShape:
        return cast("CertificatesShape", self._part("certificates"))

    @property
    def logind(self) -> LogindShape:
        return cast("LogindShape", self._part("logind"))

    @property
    def modules(self) -> KernelModulesShape:
        return cast("KernelModulesShape", self._part("modules"))

    @property
    def sysctls(self) -> SysctlsShape:
        return cast("SysctlsShape", self._part("sysctls"))

    @property
    def kernel_config(self) -> KernelConfigShape:
        return cast("KernelConfigShape", self._part("kernel_config"))

    @property
    def swap(self) -> SwapShape:
        return cast("SwapShape", self._part("swap"))

    @property
    def machine(self) -> MachineShape:
        return cast("MachineShape", self._part("machine"))

    @property
    def network(self) -> NetworkShape:
        return cast("NetworkShape", self._part("network"))


@dataclass(frozen=True)
class Check:
    """One rule and how to judge it. Adding one is adding it to a topic module's ``CHECKS``."""

    id: str
    """Stable, ``TOPIC.SUBJECT[.live|.boot]``: waivers, baselines and pipelines refer to it."""
    title: str
    """The rule as a sentence that is true of a good host."""
    severity: Severity
    """What a host that violates it is: ``fail`` when pods will not run right there."""
    expected: str
    why: str
    """What goes wrong otherwise, in a few sentences: the body of the check's page."""
    judge: Callable[[Subject], Verdict]
    remedy: str
    """What fixes it: an operation or a setting of kubenode where there is one."""
    operation: str | None = None
    """The operation that fixes it (``kernel.sysctls``), None when kubenode has none."""
    profiles: frozenset[ProfileName] = frozenset()
    """It applies when one of these is asked for; empty: always."""
    mirrors: tuple[str, ...] = ()
    """The names peers give it, such as ``kubeadm: Swap``."""
    sources: tuple[str, ...] = ()
    """Man pages, upstream documentation and issues the rule comes from."""

    @property
    def topic(self) -> str:
        return self.id.partition(".")[0]


_PARTS = {CONTAINERD.name: "containerd", CRIO.name: "crio", DOCKER.name: "docker"}
"""The part of a host's facts that has its runtime, by the name in the runtime's row."""

MOST_CHARACTERS = 2000
MOST_EVIDENCE = 50
"""A host may have a hundred thousand lines to find fault with, or one without an end."""


def _cut(text: str) -> str:
    left = len(text) - MOST_CHARACTERS
    return text if left <= 0 else f"{text[:MOST_CHARACTERS]}... and {left} characters more"


def _shortened(verdict: Verdict) -> Verdict:
    evidence = [replace(each, text=_cut(each.text)) for each in verdict.evidence[:MOST_EVIDENCE]]
    more = len(verdict.evidence) - MOST_EVIDENCE
    if more > 0:
        evidence.append(Evidence(f"and {more} more"))
    return replace(verdict, found=_cut(verdict.found), evidence=tuple(evidence))


def verdict_of(check: Check, subject: Subject) -> Verdict:
    """What *check* says of *subject*; an unknown where the host's answer does not suffice."""
    if check.profiles and not check.profiles & subject.aim.profiles:
        return not_applicable(f"for profile {' or '.join(sorted(check.profiles))} only")
    try:
        return _shortened(check.judge(subject))
    except PartMissing as error:
        return unknown(str(error))
    # A host whose facts no judge foresaw must not end the audit of a fleet.
    except Exception as error:
        return unknown(f"this check cannot judge the host: {type(error).__name__}: {error}")
