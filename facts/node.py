"""All that is known of a node, in one remote command."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypedDict, cast

from kubenode import profiles
from kubenode.facts import (
    certificates,
    cgroup,
    container_cgroups,
    containerd,
    crictl,
    crio,
    docker,
    kernel,
    kernel_config,
    kubeadm,
    kubelet,
    kubernetes_keys,
    left_alone,
    logind,
    machine,
    network,
    platform,
    pods,
    runtimes,
    swap,
)
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
from kubenode.facts.platform import PlatformShape
from kubenode.facts.swap import SwapShape
from kubenode.linux import kernel_modules, sysctl_d
from kubenode.runtimes.runtime import CONTAINERD, RUNTIMES
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import ProbeError, Reading, Readings

MODULES = (
    "overlay",
    *(name for profile in profiles.PROFILES.values() for name in profile.modules),
)
SYSCTLS = (
    "net.ipv4.ip_forward",
    *(key for profile in profiles.PROFILES.values() for key in profile.sysctls),
    # kubelet's protectKernelDefaults refuses to start on other values than its own
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
    "fs.inotify.max_user_instances",
    "fs.inotify.max_user_watches",
)


class NodeShape(TypedDict):
    """What :class:`Node` returns: a part that was not answered, or not in form, is None."""

    platform: PlatformShape | None
    cgroups: CgroupsShape | None
    cgroup_drivers: CgroupDriversShape | None
    container_cgroups: ContainerCgroupsShape | None
    containerd: ContainerdShape | None
    containerd_files: dict[str, str] | None
    """SHA-256 of containerd's configuration file and its imports, by path."""
    containerd_unproven: list[str] | None
    """Files of a change that was interrupted before CRI had answered with it."""
    crio: CrioShape | None
    docker: DockerShape | None
    crictl: CrictlShape | None
    left_alone: LeftAloneShape | None
    kubelet: KubeletShape | None
    kubeadm: KubeadmShape | None
    kubernetes_keys: KubernetesKeysShape | None
    certificates: CertificatesShape | None
    logind: LogindShape | None
    modules: KernelModulesShape | None
    sysctls: SysctlsShape | None
    kernel_config: KernelConfigShape | None
    swap: SwapShape | None
    machine: MachineShape | None
    network: NetworkShape | None
    missing: dict[str, str]
    """Why each part that is None is missing, by its name."""


def _containerd(daemon: containerd.Daemon) -> ContainerdShape:
    return daemon.shape


def _unproven(daemon: containerd.Daemon) -> list[str]:
    if daemon.unproven is None:
        # that there is a note says enough
        return [daemon.shape["config"]["path"]]
    return [file["path"] for file in daemon.unproven]


def _digests(daemon: containerd.Daemon) -> dict[str, str]:
    return {path: hashlib.sha256(content).hexdigest() for path, content in daemon.files.items()}


def _left_alone(reading: Reading) -> LeftAloneShape:
    units = list(dict.fromkeys(unit for runtime in RUNTIMES for unit in runtime.units))
    return left_alone.parse(reading, [CONTAINERD.name], [], units)


@dataclass(frozen=True)
class Part:
    """One part of what is known of a node."""

    name: str
    """Its key in :class:`NodeShape`; one that is no key there is for other parts' *needs* only."""
    probes: Mapping[str, Callable[..., probe.Script]]
    """The script of each probe that it is made of. Several parts may have one probe."""
    parse: Callable[..., object]
    """Gets the reading of each probe, then each part of *needs*, then the *argument*."""
    needs: tuple[str, ...] = ()
    """Parts above it in the table. Where one is missing it is missing too, for the same reason."""
    argument: str | None = None
    """The argument of :class:`Node` that its scripts and *parse* take."""
    otherwise: Callable[[str], object] | None = None
    """What it is where its probe is missing, from the reason why; None: it is missing then."""

    def scripts(self, arguments: Mapping[str, object]) -> dict[str, probe.Script]:
        """What the host is asked for, by probe.

        + arguments: those of :class:`Node`, by name
        """
        own = () if self.argument is None else (arguments[self.argument],)
        return {name: script(*own) for name, script in self.probes.items()}

    def of(
        self,
        readings: Readings,
        found: Mapping[str, object],
        missing: Mapping[str, str],
        arguments: Mapping[str, object],
    ) -> object:
        """The part, from what the host sent; ProbeError when it is missing.

        + readings: by probe
        + found: the parts above it, by name
        + missing: why each of them that is not in *found* is missing
        + arguments: those of :class:`Node`, by name
        """
        for name in self.needs:
            if name in missing:
                raise ProbeError(missing[name])
        own = () if self.argument is None else (arguments[self.argument],)
        try:
            sent = [readings[name] for name in self.probes]
            return self.parse(*sent, *(found[name] for name in self.needs), *own)
        except ProbeError as error:
            if self.otherwise is None:
                raise
            return self.otherwise(str(error))


PARTS = (
    Part(
        "runtimes",
        {runtimes.PROBE: runtimes.script},
        runtimes.parse_reading,
        otherwise=runtimes.not_known,
    ),
    Part(
        "platform",
        {platform.PROBE: platform.script, cgroup.CGROUPS_PROBE: cgroup.script_cgroups},
        platform.parse,
        needs=("runtimes",),
    ),
    Part("cgroups", {cgroup.CGROUPS_PROBE: cgroup.script_cgroups}, cgroup.parse_cgroups),
    Part(
        "modules",
        {kernel.MODULES_PROBE: kernel.script_modules},
        kernel.parse_modules,
        argument="modules",
    ),
    Part(
        "sysctls",
        {kernel.SYSCTLS_PROBE: kernel.script_sysctls},
        kernel.parse_sysctls,
        argument="sysctls",
    ),
    Part("kernel_config", {kernel_config.PROBE: kernel_config.script}, kernel_config.parse),
    Part("swap", {swap.PROBE: swap.script}, swap.parse),
    Part("machine", {machine.PROBE: machine.script}, machine.parse),
    Part("network", {network.PROBE: network.script}, network.parse),
    Part("kubelet", {kubelet.PROBE: kubelet.script}, kubelet.parse),
    Part("kubeadm", {kubeadm.PROBE: kubeadm.script}, kubeadm.parse),
    Part("kubernetes_keys", {kubernetes_keys.PROBE: kubernetes_keys.script}, kubernetes_keys.parse),
    Part("certificates", {certificates.PROBE: certificates.script}, certificates.parse),
    Part("logind", {logind.PROBE: logind.script}, logind.parse),
    Part(
        "container_cgroups",
        {pods.PROBE: pods.script},
        container_cgroups.parse,
    ),
    Part(
        "daemon",
        {
            containerd.PACKAGE_PROBE: containerd.script_package,
            containerd.DAEMON_PROBE: containerd.script_daemon,
        },
        containerd.parse_daemon,
    ),
    Part("containerd", {}, _containerd, needs=("daemon",)),
    Part("containerd_files", {}, _digests, needs=("daemon",)),
    Part("containerd_unproven", {}, _unproven, needs=("daemon",)),
    Part(
        "crio",
        {
            crio.PACKAGE_PROBE: crio.script_package,
            crio.PROBE: crio.script,
            pods.PROBE: pods.script,
        },
        crio.parse_shape,
    ),
    Part(
        "docker",
        {
            docker.PACKAGE_PROBE: docker.script_package,
            docker.DAEMON_PROBE: docker.script_daemon,
            pods.PROBE: pods.script,
        },
        docker.parse,
    ),
    Part("crictl", {crictl.PROBE: crictl.script}, crictl.parse),
    Part("left_alone", {left_alone.PROBE: containerd.script_left_alone}, _left_alone),
    Part(
        "cgroup_drivers",
        {cgroup.DRIVERS_PROBE: cgroup.script_drivers, kubelet.PROBE: kubelet.script},
        cgroup.parse_drivers,
        needs=("containerd", "cgroups", "crio"),
    ),
)
"""All of them, each below those that it needs. What is new in a host's answer is a row here and a
key of :class:`NodeShape`."""


def _names(stated: object, own: tuple[str, ...], check: Callable[[object], str]) -> list[str]:
    extra = [] if stated is None else kernel.listed(stated, check, "names")
    return list(dict.fromkeys([*own, *extra]))


class Node(ProbeFact[NodeShape]):
    """
    Returns all that is known of a node, in one remote command (:class:`NodeShape`).

    + modules: kernel modules to look at besides overlay and those of all profiles; a list, or one
      string with commas
    + sysctls: sysctls to look at besides those of all profiles and those kubelet sets itself

    .. code:: python

        {
            "platform": {"kernel": "Linux", "uid": 0, ...},
            "cgroups": {"mode": "v2", ...},
            "cgroup_drivers": {"agree": True, ...},
            "container_cgroups": {"containers": 12, ...},
            "containerd": {"cri": "serving", ...},
            "containerd_files": {"/etc/containerd/config.toml": "9f86d081884c7d65..."},
            "containerd_unproven": [],
            "crio": {"installed": {"binary": None, ...}, "cri": "down", ...},
            "docker": {"cri": "down", ...},
            "crictl": {
                "exists": True,
                "runtime_endpoint": "unix:///run/containerd/containerd.sock",
                "image_endpoint": "unix:///run/containerd/containerd.sock",
                "error": None,
            },
            "left_alone": {"needrestart": True, "restarts": [], ...},
            "kubelet": {"version": "1.36.2", ...},
            "kubeadm": {"etcd_data": "missing", ...},
            "kubernetes_keys": {"keys": {}},
            "certificates": {"certificates": {}},
            "logind": {"runs": True, "live": 5.0, ...},
            "modules": {"kernel": "6.12.90+deb13-amd64", ...},
            "sysctls": {"keys": {"net.ipv4.ip_forward": {...}}},
            "kernel_config": {"file": "/boot/config-6.12.90+deb13-amd64", ...},
            "swap": {"live": [], ...},
            "machine": None,
            "network": {"hostname": "node-1", ...},
            "missing": {"machine": "the host's answer to machine is cut off or out of form"},
        }

    The facts it is made of can be had alone. A part whose answer is cut off or out of form is None,
    and ``missing`` says why; it does not spoil the others.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.node.Node
    """

    def command(
        self,
        modules: str | list[str] | None = None,
        sysctls: str | list[str] | None = None,
    ) -> str:
        try:
            self.modules = _names(modules, MODULES, kernel_modules.check_name)
            self.sysctls = _names(sysctls, SYSCTLS, sysctl_d.check_key)
        except ValueError as error:
            return self.refused(str(error))
        arguments = {"modules": self.modules, "sysctls": self.sysctls}
        scripts: dict[str, probe.Script] = {}
        for part in PARTS:
            scripts |= part.scripts(arguments)
        return self.asking(scripts)

    def parse(self, readings: Readings) -> NodeShape:
        if not readings:
            raise ProbeError(readings.why_not(platform.PROBE))
        arguments = {"modules": self.modules, "sysctls": self.sysctls}
        found: dict[str, object] = {}
        missing: dict[str, str] = {}
        for part in PARTS:
            try:
                found[part.name] = part.of(readings, found, missing, arguments)
            except ProbeError as error:
                missing[part.name] = str(error)
            # What a host sends must not end the run for the fleet, nor hide its other parts.
            except Exception as error:
                missing[part.name] = f"the host's answer is out of form: {type(error).__name__}"
        shape = {name: found.get(name) for name in NodeShape.__annotations__}
        shape["missing"] = {name: why for name, why in missing.items() if name in shape}
        return cast(NodeShape, shape)
