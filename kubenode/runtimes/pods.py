"""Running containers of pods, by the cgroup driver that placed them."""

from __future__ import annotations

from collections.abc import Mapping

from kubenode.linux.cgroups import Driver


class HasPods:
    """What follows from a runtime's pods, for what plans know of a host."""

    pods: Mapping[Driver, int] | None
    """Running containers by the driver that placed them; None: that is not known."""

    @property
    def pods_count(self) -> int | None:
        """How many run, of either driver."""
        return None if self.pods is None else sum(self.pods.values())

    def pods_of_other_driver(self, driver: str) -> str | None:
        """Why the driver must not become this one now, None when it may.

        + driver: the one that is wanted
        """
        if self.pods is None:
            return "cannot tell whether pods run, and the cgroup driver would change under them"
        other: Driver = "cgroupfs" if driver == "systemd" else "systemd"
        if not self.pods[other]:
            return None
        return (
            f"{self.pods[other]} containers of pods run with the {other} cgroup driver: drain the "
            "node first (kubectl drain), or set change_driver_under_pods "
            "(kubenode_change_driver_under_pods)"
        )
