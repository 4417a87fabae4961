"""What a container runtime is to a node: a row of data for each.

A row says what a runtime is called, where it comes from and by what it is recognised on a host. How
its files are read and changed is code, in a folder of its own beside this module.

Sources: the packages' own files: ``containerd.service``; ``crio.service`` and ``10-crio.conf`` of
cri-o/packaging; ``cri-docker.service`` and ``cri-docker.socket`` of Mirantis/cri-dockerd, which
kubespray calls ``cri-dockerd.*``; docs.mirantis.com/mcr for MCR's package names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Runtime:
    """A container runtime that kubelet can use."""

    name: str
    """As ``kubenode_runtime`` names it."""
    cri: str
    """What answers kubelet, as people call it: Docker Engine and MCR have cri-dockerd for that."""
    packages: Mapping[str, tuple[str, ...]]
    """The package that has the daemon, by source: ``distribution``, or its ``vendor``."""
    service: str
    """The systemd unit of the daemon that has the containers."""
    units: tuple[str, ...]
    """systemd units of what answers kubelet. Docker Engine alone answers it not."""
    programs: tuple[str, ...]
    """What is in PATH of it."""
    socket: str
    """Where it answers, unless its files say otherwise."""
    endpoint: str
    """A regular expression for the paths of sockets that are its own, see :func:`path_of`."""
    data_root: str
    """Where its images and containers are, unless its files say otherwise."""
    scope: str
    """What stands before a container's id in the cgroup tree: ``crio-ID.scope``."""


_CRI_DOCKERD_UNITS = (
    "cri-docker.service",
    "cri-docker.socket",
    "cri-dockerd.service",
    "cri-dockerd.socket",
)

CONTAINERD = Runtime(
    name="containerd",
    cri="containerd",
    packages=MappingProxyType({"distribution": ("containerd",), "vendor": ("containerd.io",)}),
    service="containerd.service",
    units=("containerd.service",),
    programs=("containerd",),
    socket="/run/containerd/containerd.sock",
    endpoint=r"(?:.*/)?containerd\.sock",
    data_root="/var/lib/containerd",
    scope="cri-containerd-",
)

CRIO = Runtime(
    name="crio",
    cri="CRI-O",
    packages=MappingProxyType({"vendor": ("cri-o",)}),
    service="crio.service",
    units=("crio.service",),
    programs=("crio",),
    socket="/run/crio/crio.sock",
    endpoint=r".*/crio/.*|(?:.*/)?crio\.sock",
    data_root="/var/lib/containers/storage",
    scope="crio-",
)

DOCKER = Runtime(
    name="docker",
    cri="cri-dockerd",
    packages=MappingProxyType(
        {"distribution": ("docker.io", "moby-engine"), "vendor": ("docker-ce",)}
    ),
    service="docker.service",
    units=_CRI_DOCKERD_UNITS,
    programs=("cri-dockerd",),
    socket="/run/cri-dockerd.sock",
    endpoint=r"(?:.*/)?cri-dockerd?\.sock",
    data_root="/var/lib/docker",
    scope="docker-",
)

MCR = Runtime(
    name="mcr",
    cri=DOCKER.cri,
    packages=MappingProxyType({"vendor": ("docker-ee",)}),
    service=DOCKER.service,
    units=DOCKER.units,
    programs=DOCKER.programs,
    socket=DOCKER.socket,
    endpoint=DOCKER.endpoint,
    data_root=DOCKER.data_root,
    scope=DOCKER.scope,
)

RUNTIMES: tuple[Runtime, ...] = (CONTAINERD, CRIO, DOCKER, MCR)
"""All that kubenode knows of. MCR is Docker Engine by another vendor: only its packages tell."""


def named(name: str) -> Runtime:
    """The row of a runtime, by the name that ``kubenode_runtime`` has for it; else ValueError.

    + name: such as ``crio``
    """
    for row in RUNTIMES:
        if row.name == name:
            return row
    raise ValueError(f"{', '.join(row.name for row in RUNTIMES)}, not {name!r}")


def path_of(endpoint: str) -> str:
    """An endpoint's path, the same however it is written: ``unix:///var/run/x`` is ``/run/x``.

    + endpoint: of a runtime, with or without ``unix://``
    """
    path = re.sub("/+", "/", endpoint.strip().removeprefix("unix://"))
    return re.sub("^/var/run/", "/run/", path)


def of_endpoint(endpoint: str | None) -> Runtime | None:
    """The runtime that an endpoint leads to, None for one that is not known.

    + endpoint: such as ``unix:///var/run/crio/crio.sock``; None is no endpoint

    MCR answers at Docker Engine's socket, so an endpoint leads to :data:`DOCKER` there too.

    **Example:**

    .. code:: python

        of_endpoint("unix:///var/run/crio/crio.sock")  # CRIO
    """
    path = path_of(endpoint or "")
    return next((row for row in RUNTIMES if re.fullmatch(row.endpoint, path, re.DOTALL)), None)
