"""Hosts that become nodes with Docker Engine: Debian's, and cri-dockerd of an archive.

cri-dockerd is in no registry of Debian's: what is in the archive is a stand-in, or the real
program, see :mod:`tests.repositories.cri_dockerd`.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.repositories import cri_dockerd
from tests.targets.container import Target
from tests.targets.fleet import Fleet

CONFIG = "/etc/docker/daemon.json"


class Shell(Protocol):
    """A host that takes scripts: a target, or a virtual machine."""

    @property
    def suite(self) -> str:
        """Debian code name."""

    def sh(self, script: str) -> str:
        """Run one as root; what it prints."""

    def host(self) -> tuple[str, dict[str, Any]]:
        """The host in an inventory."""


def start(fleet: Fleet, suite: str = "trixie") -> Target:
    """A host on which Docker Engine can keep its images."""
    if suite == "bookworm" and cri_dockerd.real():
        pytest.skip("Debian 12's engine is older than what cri-dockerd 0.4 talks to")
    return fleet.start(suite, volumes=("/var/lib/docker",))


def ready(target: Shell) -> None:
    """The host has what a stand-in of cri-dockerd runs by; nothing where it is the real one."""
    if names := cri_dockerd.needs():
        target.sh(
            "apt-get -qq update; apt-get -qq install -y --no-install-recommends "
            f"{' '.join(names)} >/dev/null 2>&1"
        )
        knows_cri(target)


def knows_cri(target: Shell) -> None:
    """The host has the messages that a stand-in of cri-dockerd speaks."""
    path, content = cri_dockerd.messages()
    encoded = base64.b64encode(content).decode()
    target.sh(f"mkdir -p {Path(path).parent}; printf %s {encoded} | base64 -d >{path}")


def source(
    folder: Path, says: str | None = None, program: bytes | None = None
) -> dict[str, Any]:  # fmt: skip
    """What ``kubenode_cri_dockerd_source`` is for an archive on this machine.

    + folder: where the archive is put
    + says: the version that a stand-in says
    + program: another one than the stand-in or the real one
    """
    release = cri_dockerd.archive(folder, says, program)
    return {
        "version": release.version,
        "url": str(release.path),
        "sha256": {"amd64": release.sha256},
    }


def host(target: Shell, folder: Path, **data: Any) -> tuple[str, dict[str, Any]]:
    """The target in an inventory, as one that shall be a node with Docker Engine.

    + folder: where cri-dockerd's archive is put
    + data: settings, without their prefix
    """
    name, own = target.host()
    # Debian 12's engine speaks API 1.41, and cri-dockerd 0.4 needs 1.42
    says = (
        "0.3.25" if getattr(target, "suite", "") == "bookworm" and not cri_dockerd.real() else None
    )
    stated = {"runtime": "docker", "cri_dockerd_source": source(folder, says), **data}
    return name, {**own, **{f"kubenode_{key}": value for key, value in stated.items()}}
