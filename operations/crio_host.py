"""What operations on CRI-O make of the facts they read."""

from __future__ import annotations

from kubenode.facts.crio import SOCKET, CrioShape
from kubenode.linux.unit import unit_of
from kubenode.runtimes.config_swap import Daemon
from kubenode.runtimes.crio import proof
from kubenode.runtimes.crio.state import State

COMES_FIRST = "CRI-O is not installed: crio.installed comes first"
CANNOT_TELL = "cannot tell how CRI-O is configured, see the lines above"


def state(daemon: CrioShape) -> State:
    """What plans need of the fact."""
    pods, pending = daemon["pods"], daemon["restart_pending"]
    by_file: dict[str, set[str]] = {}
    for each in daemon["pending"] or ():
        by_file.setdefault(each["file"], set()).add(each["applied_by"])
    # a file of which a reload brings all is no reason for a restart
    reloads = [path for path, by in by_file.items() if by == {"reload"}]
    return State(
        unit=unit_of(daemon["unit"]),
        cri=daemon["cri"],
        driver=daemon["cgroup_driver"],
        pods=None if pods is None else {"systemd": pods["systemd"], "cgroupfs": pods["cgroupfs"]},
        restart_pending=None
        if pending is None
        else tuple(path for path in pending if path not in reloads),
        reload_pending=tuple(path for path in pending or () if path in reloads),
        clock_set_back=tuple(daemon["clock_set_back"]),
        flags=tuple(daemon["flags"]),
    )


def daemon_of(daemon: CrioShape) -> Daemon:
    """What scripts need of it; one that is not there yet is looked for in PATH."""
    return proof.daemon(daemon["installed"]["binary"] or "/usr/bin/crio", SOCKET)
