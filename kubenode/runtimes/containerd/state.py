"""What a host says of its containerd besides the content of its files, as plans need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from packaging.version import Version

from kubenode.linux.cgroups import Driver
from kubenode.linux.unit import Unit
from kubenode.runtimes.containerd.handlers import unrecognised
from kubenode.runtimes.containerd.releases import pods_survive
from kubenode.runtimes.pods import HasPods

UNCLEAR_CONFIG = "cannot tell from containerd.service which configuration file its --config names"


@dataclass(frozen=True)
class HandlerInForce:
    """A runtime handler, as containerd makes it of all its files."""

    runtime_type: str | None
    driver: Driver | None
    """None for a handler that has settings of its own, and for one that is not recognised."""
    recognised: bool
    """False: nobody can tell which driver its shim uses."""
    stated: str | None = None
    """``FILE:LINE`` of the driver."""
    defined: str | None = None
    """``FILE:LINE`` of the runtime_type."""


@dataclass(frozen=True)
class Replaced:
    """A program that was exchanged after the daemon started."""

    path: str
    running: Version | None
    """What runs; None: it does not say."""
    there: Version | None
    """What would run after a restart; None: it does not say."""

    @property
    def pods_survive(self) -> bool:
        """Whether running pods survive the restart."""
        return (
            self.running is not None
            and self.there is not None
            and pods_survive(self.running, self.there)
        )

    def __str__(self) -> str:
        return f"{self.path} ({self.running or 'unknown'} -> {self.there or 'unknown'})"


@dataclass(frozen=True)
class State(HasPods):
    """containerd on a host."""

    main: str
    """Path of the main configuration file."""
    socket: str
    unit: Unit | None
    """None: there is no such unit, or the host has no systemd."""
    cri: str
    """``serving``, ``disabled``, ``down`` or ``unknown``."""
    has_ctr: bool
    error: str | None
    """Why containerd cannot use its configuration."""
    is_effective: bool
    """Whether the handlers are what containerd makes of all files."""
    handlers: Mapping[str, HandlerInForce]
    default_handler: str | None
    pods: Mapping[Driver, int] | None
    """Running containers by the driver that placed them; None: that is not known."""
    restart_pending: tuple[str, ...] | None
    """Files changed since the daemon started; None: not known, or it does not run."""
    clock_set_back: tuple[str, ...]
    """Files, or the socket, that the host's clock has yet to come to."""
    replaced: Replaced | None = None
    """What a restart changes besides; None: the daemon runs the program that is there."""

    @property
    def pods_survive(self) -> bool:
        """Whether running pods survive a restart."""
        return self.replaced is None or self.replaced.pods_survive

    @property
    def waits_for_restart(self) -> tuple[str, ...]:
        """What only a restart puts in force."""
        return (*(self.restart_pending or ()), *([str(self.replaced)] if self.replaced else []))

    def wrong_handlers(self, driver: str) -> list[str]:
        """The handlers that have another driver.

        + driver: the one that is wanted
        """
        return [name for name, each in self.handlers.items() if each.driver not in (None, driver)]

    def still_wrong(self, driver: str) -> str | None:
        """Why containerd does not use a driver although its files say so; None when it does.

        + driver: the one that is wanted
        """
        if not self.is_effective:
            return f"containerd does not read its configuration any more: {self.error}"
        where = []
        for name in self.wrong_handlers(driver):
            handler = self.handlers[name]
            place = f" from {handler.stated}" if handler.stated else ""
            where.append(f"handler {name} has {handler.driver}{place}")
        if not where:
            return None
        return f"containerd is configured, but not with {driver} everywhere: {'; '.join(where)}"

    def unrecognised_default(self, name: str | None) -> str | None:
        """Why nobody can say which driver most pods would get, None when it can be said.

        + name: of the default handler; None is none
        """
        name = name or ""
        handler = self.handlers.get(name)
        if handler is None or handler.recognised:
            return None
        place = f"{handler.defined}: " if handler.defined else ""
        return f"{place}the default handler {name}: {unrecognised(handler.runtime_type)}"
