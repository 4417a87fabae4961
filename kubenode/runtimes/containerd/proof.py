"""How a host tells whether containerd takes a configuration, and whether CRI answers."""

from __future__ import annotations

import posixpath
import shlex

from kubenode.run import host_script
from kubenode.runtimes.config_swap import PROGRAM_SECONDS, Daemon
from kubenode.runtimes.runtime import CONTAINERD

FUNCTIONS = host_script.read(__file__, "proof.sh", PROGRAM_SECONDS=PROGRAM_SECONDS)


def daemon(program: str, socket: str) -> Daemon:
    """What :mod:`kubenode.runtimes.config_swap` has to know of containerd.

    + program: path of containerd; ``ctr`` is looked for beside it first
    + socket: path of the daemon's socket
    """
    (unit,) = CONTAINERD.units
    head = f"PATH={shlex.quote(posixpath.dirname(program))}:$PATH\nsocket={shlex.quote(socket)}"
    return Daemon(
        name=CONTAINERD.name,
        unit=unit,
        functions=f"{head}\n{FUNCTIONS.strip()}",
        programs=("ctr",),
    )
