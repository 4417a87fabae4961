"""Which driver kubelet uses, and which components' drivers it has to do with."""

from __future__ import annotations

from typing import Any, cast

import pytest

from kubenode.facts import cgroup
from kubenode.facts.cgroup import CgroupDriversShape, CgroupsShape
from kubenode.facts.containerd import ContainerdShape
from kubenode.wire.reading import Reading

CGROUPS = cast(CgroupsShape, {"mode": "v2", "systemd": {"running": True, "version": 257}})
CRIO = "unix:///var/run/crio/crio.sock"
CRI_DOCKERD = "unix:///run/cri-dockerd.sock"
CONTAINERD = "unix:///run/containerd/containerd.sock"


def containerd(version: str | None = None, **drivers: str) -> ContainerdShape:
    """containerd of that version with these handlers' drivers; None: it is not there."""
    shape: dict[str, Any] = {
        "installed": {"binary": version and "/usr/bin/containerd", "version": version},
        "config": {"error": None},
        "effective": True,
        "handlers": {
            name: {"cgroup_driver": driver, "stated": None} for name, driver in drivers.items()
        },
        "default_handler": "runc",
        "socket": "/run/containerd/containerd.sock",
    }
    return cast(ContainerdShape, shape)


def drivers(
    runtime: ContainerdShape,
    *,
    kubelet: str = "1.36.0",
    states: str = "systemd",
    endpoint: str | None = None,
    crio: tuple[str, str] | None = None,
    docker: tuple[str, str] | None = None,
) -> CgroupDriversShape:
    """The fact, of a host where CRI-O and Docker have this version (cri-dockerd's) and driver."""
    lines = [f"cgroupDriver: {states}"]
    if endpoint:
        lines.append(f"containerRuntimeEndpoint: {endpoint}")
    texts = {"/var/lib/kubelet/config.yaml": lines}
    values = {"kubelet_version": f"Kubernetes v{kubelet}"}
    if crio:
        values |= {"crio": "yes", "version:crio": f"crio version {crio[0]}"}
        texts["/etc/crio/crio.conf"] = ["[crio.runtime]", f'cgroup_manager = "{crio[1]}"']
    if docker:
        values |= {"dockerd": "yes", "version:cri-dockerd": f"cri-dockerd {docker[0]} (483e3b6)"}
        option = f'"native.cgroupdriver={docker[1]}"'
        texts["/etc/docker/daemon.json"] = [f'{{"exec-opts": [{option}]}}']
    return cgroup.parse_drivers(Reading(values, texts), Reading(values, texts), runtime, CGROUPS)


@pytest.mark.parametrize(
    ("arguments", "driver", "agree"),
    [
        # before 1.34, and over a runtime that does not answer, its own configuration counts
        ({"kubelet": "1.33.9", "endpoint": CRIO, "crio": ("1.33.0", "cgroupfs")}, "systemd", False),
        ({"endpoint": CRIO, "crio": ("1.27.4", "cgroupfs")}, "systemd", False),
        ({"endpoint": CRI_DOCKERD, "docker": ("0.3.16", "cgroupfs")}, "systemd", False),
        # from 1.34 on it asks whom its endpoint leads to
        ({"endpoint": CRIO, "crio": ("1.28.0", "cgroupfs")}, "cgroupfs", True),
        ({"endpoint": CRI_DOCKERD, "docker": ("0.3.17", "cgroupfs")}, "cgroupfs", True),
        ({"kubelet": "1.34.0", "endpoint": CRIO, "crio": ("1.34.1", "cgroupfs")}, "cgroupfs", True),
        # a runtime that does not say its version: known only where it makes no difference
        ({"endpoint": CRIO, "crio": ("", "cgroupfs")}, None, None),
        ({"endpoint": CRIO, "crio": ("", "systemd")}, "systemd", True),
        # ... and so is a kubelet that does not: a program that hangs, or says more than that
        ({"kubelet": "", "endpoint": CRIO, "crio": ("1.34.1", "cgroupfs")}, None, None),
        ({"kubelet": "", "endpoint": CRIO, "crio": ("1.34.1", "systemd")}, "systemd", True),
        # without an endpoint: containerd, or what is there in its place
        ({"kubelet": "1.33.0", "crio": ("1.33.0", "cgroupfs")}, "systemd", False),
        # whom it leads to is not known
        ({"kubelet": "1.33.0", "endpoint": "unix:///run/x.sock"}, "systemd", None),
    ],
)
def test_without_containerd(arguments: dict[str, Any], driver: str | None, agree: bool) -> None:
    found = drivers(containerd(), **arguments)
    assert found["components"]["kubelet"]["driver"] == driver
    assert found["agree"] is agree


@pytest.mark.parametrize(
    ("version", "arguments", "driver", "agree"),
    [
        ("2.1.0", {"endpoint": CONTAINERD}, "cgroupfs", True),
        ("2.1.0", {}, "cgroupfs", True),
        ("2.1.0", {"endpoint": "unix:///var/run/containerd/containerd.sock"}, "cgroupfs", True),
        ("1.7.0", {"endpoint": CONTAINERD}, "systemd", False),
        # handlers that kubelet never uses do not count
        ("2.1.0", {"endpoint": CRIO, "crio": ("1.34.0", "systemd")}, "systemd", True),
        ("1.7.0", {"endpoint": CRIO, "crio": ("1.34.0", "systemd")}, "systemd", True),
        # ... and neither does another runtime beside containerd
        ("2.1.0", {"crio": ("1.34.0", "systemd"), "docker": ("", "systemd")}, "cgroupfs", True),
    ],
)
def test_beside_containerd(
    version: str, arguments: dict[str, Any], driver: str, agree: bool
) -> None:
    found = drivers(containerd(version, runc="cgroupfs"), **arguments)
    assert found["components"]["kubelet"]["driver"] == driver
    assert found["agree"] is agree
    others = {"crio", "docker", "containerd/runc"} - set(found["counted"])
    assert {"crio", "docker"} & set(found["counted"]) == set() or "containerd/runc" in others


def test_each_handler_of_the_runtime_counts() -> None:
    found = drivers(containerd("2.1.0", runc="systemd", nvidia="cgroupfs"))
    assert found["counted"] == ["containerd/runc", "containerd/nvidia", "kubelet"]
    assert found["agree"] is False
