"""What a host says of its CRI-O besides the content of its files, as plans need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubenode.linux.cgroups import Driver
from kubenode.linux.unit import Unit
from kubenode.runtimes.pods import HasPods


@dataclass(frozen=True)
class State(HasPods):
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
