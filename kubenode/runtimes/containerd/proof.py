"""How a host tells whether containerd takes a configuration, and whether CRI answers."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Sequence

from kubenode.files.toml_text import Path
from kubenode.run import host_script
from kubenode.runtimes.config_swap import PROGRAM_SECONDS, Daemon
from kubenode.runtimes.runtime import CONTAINERD

_STATES_ALL = host_script.read(
    __file__, "states_all.sh", PROGRAM_SECONDS=PROGRAM_SECONDS, MOST_DUMP=4 * 1024 * 1024
)

FUNCTIONS = host_script.read(__file__, "proof.sh", PROGRAM_SECONDS=PROGRAM_SECONDS)


def daemon(program: str, socket: str, stated: Sequence[Path] = ()) -> Daemon:
    """What :mod:`kubenode.runtimes.config_swap` has to know of containerd.

    + program: path of containerd; ``ctr`` is looked for beside it first
    + socket: path of the daemon's socket
    + stated: what its ``config dump`` has to have once the files are in place: what is not in it
      containerd does not know, and ignores without a word
    """
    (unit,) = CONTAINERD.units
    head = f"PATH={shlex.quote(posixpath.dirname(program))}:$PATH\nsocket={shlex.quote(socket)}"
    functions = f"{head}\n{FUNCTIONS.strip()}"
    if stated:
        # the dump quotes what has a dot in it, and keeps no case
        names = "\n".join(".".join(map(str, path)).lower() for path in stated)
        functions += f"\nexpected={shlex.quote(names)}\n{_STATES_ALL.strip()}"
    return Daemon(
        name=CONTAINERD.name,
        unit=unit,
        functions=functions,
        programs=("ctr", "tr") if stated else ("ctr",),
        proof="states_all" if stated else "",
    )
