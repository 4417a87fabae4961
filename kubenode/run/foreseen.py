"""Failures that a run foresees: ``pyinfra --dry`` ends with exit code 1 when a host would fail.

pyinfra's exit code is 1 when ``State.failed_hosts`` has a host in it, after a dry run too. Nothing
fails while pyinfra only prepares, so this module adds the hosts that would fail. They stay active:
an earlier operation may remove the reason. When the run executes, only what happens then counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

from pyinfra.api import Host, State
from pyinfra.api.state import BaseStateCallback


class _Foreseen(BaseStateCallback):
    """The hosts of one run that would fail."""

    def __init__(self) -> None:
        self.hosts: set[Host] = set()

    def operation_host_start(self, state: State, host: Host, op_hash: str) -> None:  # type: ignore[override]
        # a host that pyinfra itself has failed starts no more operations, and stays failed
        if host in self.hosts:
            self.hosts.remove(host)
            state.failed_hosts.discard(host)


_runs: WeakKeyDictionary[State, _Foreseen] = WeakKeyDictionary()


def would_fail(host: Host) -> None:
    """Count *host* as failed, unless the run goes on and executes.

    + host: the host that an operation refuses, while pyinfra prepares
    """
    arguments: Mapping[str, object] = host.current_op_global_arguments or {}
    if arguments.get("_ignore_errors"):
        return
    run = _runs.get(host.state)
    if run is None:
        run = _runs[host.state] = _Foreseen()
        host.state.add_callback_handler(run)
    run.hosts.add(host)
    host.state.failed_hosts.add(host)
