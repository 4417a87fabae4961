"""The checks that verdicts of other checks refer to.

What only follows from another check's finding does not apply, and names that check: with one of
these, never with its id in a text. ``tests/unit/checks/test_references.py`` looks each of them up
in the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """Another check, in a text: ``f"its files cannot be used, {CONFIG_READABLE}"``."""

    id: str

    def __str__(self) -> str:
        return f"see {self.id}"


DRIVER_AGREEMENT = Reference("cgroup-driver.agreement")
CGROUP_VERSION = Reference("cgroup.version")
PACKAGES = Reference("platform.packages")
SYSTEMD = Reference("platform.systemd")
BR_NETFILTER_LIVE = Reference("module.br-netfilter.live")
ETCD_PORT = Reference("network.port-2379")
KUBELET_CONFIG = Reference("kubelet.config-readable")

RUNTIME_INSTALLED = Reference("runtime.installed")
RUNTIME_CONFIG = Reference("runtime.config-readable")
CONFIG_APPLIED = Reference("runtime.config-applied")
CRI_SERVING = Reference("runtime.cri-serving")
RUNTIME_ALONE = Reference("runtime.alone")

CRI_DOCKERD = Reference("docker.cri-dockerd")
DOCKER_KEYS = Reference("docker.keys")

CRI_ENABLED = Reference("containerd.cri-enabled")
CONFIG_VERSION = Reference("containerd.config-version")
DROP_IN_VERSION = Reference("containerd.drop-in-version")
DEFAULT_HANDLER = Reference("containerd.default-handler")
REGISTRY = Reference("containerd.registry")
REGISTRY_DIRECTORY = Reference("containerd.registry-directory")
REGISTRY_HOSTS = Reference("containerd.registry-hosts")

MONITOR_CGROUP = Reference("crio.monitor-cgroup")


def modules_live(name: str) -> Reference:
    """The check whether a module is there now.

    + name: of the pair of checks, such as ``br-netfilter``
    """
    return Reference(f"module.{name}.live")
