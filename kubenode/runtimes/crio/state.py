"""What a host says of its CRI-O besides the content of its files, as plans need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubenode.linux.cgroups import Driver


@dataclass(frozen=True)
class Unit:
    """crio.service as systemd has it."""

    load: str
    active: str
    enabled: str
    needs_daemon_reload: bool
    wanted_by: tuple[str, ...]
    """Units that start it."""

    @property
    def runs(self) -> bool:
        """Whether it runs, or is about to."""
        return self.active in ("active", "activating", "reloading")


@dataclass(frozen=True)
class State:
    """CRI-O on a host."""

    unit: Unit | None
    """None: there is no such unit, or the host has no systemd."""
    cri: str
    """``serving``, ``down`` or ``unknown``."""
    driver: Driver | None
    """The one in force: what the daemon says, else what its files say; None: not known."""
    pods: Mapping[Driver, int] | None
    """Running containers by the driver that placed them; None: that is not known."""
    restart_pending: tuple[str, ...] | None
    """Files of which the daemon does not have what they say, and takes it at a restart only; None:
    not known, or it does not run."""
    reload_pending: tuple[str, ...]
    """Those of which a reload gives it what they say."""
    clock_set_back: tuple[str, ...] = ()
    """Files, or the socket, that the host's clock has yet to come to."""
    flags: tuple[str, ...] = ()
    """What the unit gives the daemon on its command line that wins over the files, as
    ``FILE: --cgroup-manager``."""

    @property
    def pods_count(self) -> int | None:
        """Running containers of pods, of either driver."""
        return None if self.pods is None else sum(self.pods.values())

    def pods_of_other_driver(self, driver: str) -> str | None:
        """Why the driver must not become this one now, None when it may.

        + driver: the one that is wanted
        """
        if self.pods is None:
            return "cannot tell whether pods run, and the cgroup driver would change under them"
        other: Driver = "cgroupfs" if driver == "systemd" else "systemd"
        count = self.pods[other]
        if not count:
            return None
        return (
            f"{count} containers of pods run with the {other} cgroup driver: drain the node first "
            "(kubectl drain), or set change_driver_under_pods (kubenode_change_driver_under_pods)"
        )
