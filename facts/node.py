"""All that is known of a node, in one remote command."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypedDict, TypeVar

from kubenode import profiles
from kubenode.facts import (
    cgroup,
    container_cgroups,
    containerd,
    crictl,
    kernel,
    kernel_config,
    kubeadm,
    kubelet,
    machine,
    network,
    platform,
    runtimes,
    swap,
)
from kubenode.facts.cgroup import CgroupDriversShape, CgroupsShape
from kubenode.facts.container_cgroups import ContainerCgroupsShape
from kubenode.facts.containerd import ContainerdShape
from kubenode.facts.crictl import CrictlShape
from kubenode.facts.kernel import KernelModulesShape, SysctlsShape
from kubenode.facts.kernel_config import KernelConfigShape
from kubenode.facts.kubeadm import KubeadmShape
from kubenode.facts.kubelet import KubeletShape
from kubenode.facts.machine import MachineShape
from kubenode.facts.network import NetworkShape
from kubenode.facts.platform import PlatformShape
from kubenode.facts.swap import SwapShape
from kubenode.linux import kernel_modules, sysctl_d
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact

T = TypeVar("T")

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
    crictl: CrictlShape | None
    kubelet: KubeletShape | None
    kubeadm: KubeadmShape | None
    modules: KernelModulesShape | None
    sysctls: SysctlsShape | None
    kernel_config: KernelConfigShape | None
    swap: SwapShape | None
    machine: MachineShape | None
    network: NetworkShape | None
    missing: dict[str, str]
    """Why each part that is None is missing, by its name."""


def _names(stated: object, own: tuple[str, ...], check: Callable[[object], str]) -> list[str]:
    extra = [] if stated is None else kernel.listed(stated, check, "names")
    return list(dict.fromkeys([*own, *extra]))


class Node(ProbeFact[NodeShape]):
    """
    Returns all that is known of a node, in one remote command (:class:`NodeShape`).

    + modules: kernel modules to look at besides overlay and those of all profiles; a list, or one
      string with commas
    + sysctls: sysctls to look at besides those of all profiles and those kubelet sets itself

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
        scripts = {
            platform.PROBE: platform.script(),
            runtimes.PROBE: runtimes.script(),
            cgroup.CGROUPS_PROBE: cgroup.script_cgroups(),
            kernel.MODULES_PROBE: kernel.script_modules(self.modules),
            kernel.SYSCTLS_PROBE: kernel.script_sysctls(self.sysctls),
            kernel_config.PROBE: kernel_config.script(),
            swap.PROBE: swap.script(),
            machine.PROBE: machine.script(),
            network.PROBE: network.script(),
            cgroup.DRIVERS_PROBE: cgroup.script_drivers(),
            kubelet.PROBE: kubelet.script(),
            kubeadm.PROBE: kubeadm.script(),
            container_cgroups.PROBE: container_cgroups.script(),
            containerd.PACKAGE_PROBE: containerd.script_package(),
            containerd.DAEMON_PROBE: containerd.script_daemon(),
            crictl.PROBE: crictl.script(),
        }
        return self.asking(scripts)

    def parse(self, readings: probe.Readings) -> NodeShape:
        missing: dict[str, str] = {}

        def part(name: str, parse: Callable[[], T]) -> T | None:
            try:
                return parse()
            except probe.ProbeError as error:
                missing[name] = str(error)
            # What a host sends must not end the run for the fleet, nor hide its other parts.
            except Exception as error:
                missing[name] = f"the host's answer is out of form: {type(error).__name__}"
            return None

        drivers = part("drivers", lambda: readings[cgroup.DRIVERS_PROBE])
        missing.pop("drivers", None)
        cgroups = part("cgroups", lambda: cgroup.parse_cgroups(readings[cgroup.CGROUPS_PROBE]))
        daemon = part(
            "containerd",
            lambda: containerd.parse_daemon(
                readings[containerd.PACKAGE_PROBE], readings[containerd.DAEMON_PROBE]
            ),
        )
        if daemon is None:
            for name in ("containerd_files", "containerd_unproven"):
                missing[name] = missing["containerd"]

        def parse_drivers() -> CgroupDriversShape:
            if cgroups is None or daemon is None:
                raise probe.ProbeError(missing["containerd" if daemon is None else "cgroups"])
            return cgroup.parse_drivers(readings[cgroup.DRIVERS_PROBE], cgroups, daemon.shape)

        shape: NodeShape = {
            "platform": part(
                "platform",
                lambda: platform.parse(
                    readings[platform.PROBE],
                    readings[cgroup.CGROUPS_PROBE],
                    runtimes.parse(readings),
                ),
            ),
            "cgroups": cgroups,
            "cgroup_drivers": part("cgroup_drivers", parse_drivers),
            "container_cgroups": part(
                "container_cgroups",
                lambda: container_cgroups.parse(readings[container_cgroups.PROBE]),
            ),
            "containerd": daemon.shape if daemon else None,
            "containerd_files": _digests(daemon) if daemon else None,
            "containerd_unproven": _unproven(daemon) if daemon else None,
            "crictl": part("crictl", lambda: crictl.parse(readings[crictl.PROBE])),
            "kubelet": part(
                "kubelet",
                lambda: kubelet.parse(
                    readings[kubelet.PROBE], drivers or readings[cgroup.DRIVERS_PROBE]
                ),
            ),
            "kubeadm": part("kubeadm", lambda: kubeadm.parse(readings[kubeadm.PROBE])),
            "modules": part(
                "modules",
                lambda: kernel.parse_modules(readings[kernel.MODULES_PROBE], self.modules),
            ),
            "sysctls": part(
                "sysctls",
                lambda: kernel.parse_sysctls(readings[kernel.SYSCTLS_PROBE], self.sysctls),
            ),
            "kernel_config": part(
                "kernel_config", lambda: kernel_config.parse(readings[kernel_config.PROBE])
            ),
            "swap": part("swap", lambda: swap.parse(readings[swap.PROBE])),
            "machine": part("machine", lambda: machine.parse(readings[machine.PROBE])),
            "network": part("network", lambda: network.parse(readings[network.PROBE])),
            "missing": missing,
        }
        if not readings:
            raise probe.ProbeError(readings.why_not(platform.PROBE))
        return shape


def _unproven(daemon: containerd.Daemon) -> list[str]:
    if daemon.unproven is None:
        # that there is a note says enough
        return [daemon.shape["config"]["path"]]
    return [file["path"] for file in daemon.unproven]


def _digests(daemon: containerd.Daemon) -> dict[str, str]:
    return {path: hashlib.sha256(content).hexdigest() for path, content in daemon.files.items()}
