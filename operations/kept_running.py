"""The steps that keep a runtime running, as the operations of all runtimes take them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, StringCommand

from kubenode.run.telling import explain, refuse
from kubenode.runtimes.config_swap import Daemon, start
from kubenode.runtimes.upkeep import Upkeep


def kept_running(
    to_do: Upkeep, daemon: Daemon, whole: str, waiting: str
) -> Generator[StringCommand | FunctionCommand, Any, None]:
    """Say what is done, and do it until CRI answers; or why there is nothing to do.

    + to_do: what is to be done
    + daemon: the runtime's
    + whole: what a host is where nothing has to be done
    + waiting: what it is called that a restart is due and has to wait
    """
    if to_do.blocked:
        yield refuse(host, to_do.blocked)
        return
    if to_do.postponed:
        logger.warning(f"{host.print_prefix}{waiting}: {to_do.postponed}")
    if not to_do.steps:
        waits = f", and waits for a restart: {to_do.postponed}" if to_do.postponed else ""
        host.noop(f"{whole}{waits}")
        return
    for sentence in to_do.explained:
        explain(host, sentence)
    yield start(daemon, to_do.steps)
