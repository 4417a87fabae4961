"""How a host tells whether CRI-O takes a configuration, and whether it serves."""

from __future__ import annotations

import posixpath
import shlex
from dataclasses import replace

from pyinfra.api import StringCommand

from kubenode.files import host_lock, whole_file
from kubenode.run import host_script
from kubenode.runtimes.config_swap import PROGRAM_SECONDS, Daemon
from kubenode.runtimes.crio import own_file, registries
from kubenode.runtimes.crio.config import DROP_INS
from kubenode.runtimes.runtime import CRIO

FUNCTIONS = host_script.read(
    __file__,
    "proof.sh",
    PROGRAM_SECONDS=PROGRAM_SECONDS,
    DROP_INS=DROP_INS,
    NAME=posixpath.basename(own_file.LINK),
)
_REGISTRIES = host_script.read(__file__, "registries_check.sh", FILE=registries.FILE)
_LINK = host_script.read(
    __file__, "link.sh", FILE=own_file.FILE, LINK=own_file.LINK, TARGET=own_file.TARGET
)


def daemon(program: str, socket: str) -> Daemon:
    """What :mod:`kubenode.runtimes.config_swap` has to know of CRI-O.

    + program: path of crio
    + socket: path of the daemon's socket
    """
    (unit,) = CRIO.units
    head = f"PATH={shlex.quote(posixpath.dirname(program))}:$PATH\nsocket={shlex.quote(socket)}"
    return Daemon(
        name=CRIO.cri,
        unit=unit,
        functions=f"{head}\n{FUNCTIONS.strip()}",
        programs=("crio", "cp", "mkdir", "rm", "sed"),
    )


def of_registries(program: str, socket: str) -> Daemon:
    """The same for the file of its registries, which CRI-O judges when it reloads.

    + program, socket: see :func:`daemon`
    """
    of_files = daemon(program, socket)
    functions = f"{of_files.functions}\n{_REGISTRIES.strip()}"
    return replace(of_files, functions=functions, programs=("date", "journalctl", "cut"))


def link() -> StringCommand:
    """A command that makes CRI-O read kubenode's own file, which is empty where it is new."""
    return host_lock.under_lock(f"{whole_file.FUNCTIONS.strip()}\n{_LINK.strip()}")
