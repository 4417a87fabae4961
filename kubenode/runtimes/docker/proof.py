"""How a host tells whether dockerd takes a daemon.json, and whether cri-dockerd serves CRI."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from kubenode.linux.cgroups import Driver
from kubenode.run import host_script
from kubenode.runtimes.config_swap import PROGRAM_SECONDS, Daemon
from kubenode.runtimes.docker import flags
from kubenode.runtimes.docker.upkeep import ENGINE

FUNCTIONS = host_script.read(__file__, "proof.sh", PROGRAM_SECONDS=PROGRAM_SECONDS)


def daemon(
    service: str,
    socket: str,
    words: Sequence[str] = (),
    driver: Driver | None = None,
    *,
    with_engine: bool = True,
) -> Daemon:
    """What :mod:`kubenode.runtimes.config_swap` has to know of Docker Engine and cri-dockerd.

    + service: cri-dockerd's unit
    + socket: where it answers
    + words: flags of docker.service, with which a file is checked together
    + driver: the cgroup driver that the engine has to have; None: any
    + with_engine: whether the engine is restarted, or cri-dockerd alone
    """
    own = [word for word in words if flags.CONFIG_FLAG not in word]
    head = [
        f"cri_unit={shlex.quote(service)}; socket={shlex.quote(socket)}",
        f"driver={shlex.quote(driver or '')}",
        f"dockerd_flags={shlex.quote(shlex.join(own))}",
    ]
    return Daemon(
        name="Docker Engine" if with_engine else "cri-dockerd",
        unit=ENGINE if with_engine else service,
        functions="\n".join([*head, FUNCTIONS.strip()]),
        also=(service,) if with_engine else (),
    )
