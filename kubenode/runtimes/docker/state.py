"""What a host says of its Docker Engine and cri-dockerd, as plans need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from kubenode.linux.cgroups import Driver
from kubenode.linux.unit import Unit
from kubenode.runtimes.pods import HasPods


@dataclass(frozen=True)
class State(HasPods):
    """Docker Engine and cri-dockerd on a host."""

    version: str | None
    """Docker Engine's; None when it does not say."""
    config_error: str | None
    """Why daemon.json, or docker.service, cannot be used."""
    exists: bool | None
    """Whether there is a daemon.json; None: not known."""
    unknown_keys: tuple[str, ...]
    in_both: tuple[str, ...]
    flags: tuple[str, ...] | None
    """Words of docker.service's command line; None: not known."""
    stated_driver: Driver | None
    asked: str
    """Whether the engine was asked, see :class:`kubenode.facts.docker.DockerShape`."""
    driver: Driver | None
    """The engine's; None where it does not answer."""
    storage_driver: str | None
    live_restore: bool | None
    """Of the engine that runs; None where it does not answer."""
    containers: int | None
    """Running containers, of pods or not."""
    swarm: bool | None
    cri: str
    """``serving``, ``down`` or ``unknown``."""
    socket: str
    engine: Unit | None
    """docker.service."""
    service: str
    """The name of cri-dockerd's unit."""
    cri_unit: Unit | None
    cri_socket_unit: Unit | None
    program: str | None
    """Path of cri-dockerd."""
    words: tuple[str, ...]
    """The command line that systemd starts cri-dockerd with, its program first."""
    older_than_engine: bool | None
    pods: Mapping[Driver, int] | None
    restart_pending: tuple[str, ...] | None
    clock_set_back: tuple[str, ...]

    @property
    def distrusted(self) -> str | None:
        """Why nothing that Docker Engine seems to say may be believed; None where it may."""
        if self.asked != "distrusted":
            return None
        return (
            "others than root decide who answers at Docker Engine's socket (/run/docker.sock): see "
            "namei -l /run/docker.sock"
        )

    @property
    def restarted(self) -> int | None:
        """How many containers a restart of the engine concerns; None: not known."""
        if self.engine is not None and not self.engine.runs:
            return 0
        if self.containers is not None:
            return self.containers
        return self.pods_count

    @property
    def can_validate(self) -> bool:
        """Whether dockerd itself can be shown a file: ``--validate``, from 23.0 on."""
        try:
            return self.version is not None and Version(self.version) >= Version("23")
        except InvalidVersion:
            return False
