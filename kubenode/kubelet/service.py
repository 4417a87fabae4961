"""kubelet's service: restarted when its program or its files are others, and proven by its health.

Packages do not restart it (kubernetes/release, kubelet.spec), and no pod ends with it. Source of
``/healthz``: KubeletConfiguration v1beta1, ``healthzPort`` and ``healthzBindAddress``.
"""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from pyinfra.api import StringCommand

from kubenode.files import host_lock
from kubenode.kubelet.command_line import UNIT, Flag, Word
from kubenode.run import host_script
from kubenode.runtimes.config_swap import CRI_FUNCTIONS, Daemon

WAIT_SECONDS = 60
"""How long kubelet may take until it is healthy."""

PROGRAM_SECONDS = 20

_STAYS_SECONDS = 5

_PORT = 10248


def health_address(flags: Mapping[str, Flag], settings: Mapping[str, Any]) -> str | None:
    """Where kubelet says whether it is healthy, such as ``127.0.0.1:10248``; None for nowhere.

    + flags: kubelet's, by name
    + settings: those of its files
    """
    port = _stated("healthz-port", "healthzPort", flags, settings, _PORT)
    address = _stated("healthz-bind-address", "healthzBindAddress", flags, settings, "127.0.0.1")
    try:
        number, bound = int(str(port)), ipaddress.ip_address(str(address))
    except ValueError:
        return None
    if not 0 < number < 65536:
        return None
    if bound.is_unspecified:
        return f"127.0.0.1:{number}" if bound.version == 4 else f"[::1]:{number}"
    return f"{bound}:{number}" if bound.version == 4 else f"[{bound}]:{number}"


def _stated(
    flag: str, name: str, flags: Mapping[str, Flag], settings: Mapping[str, Any], default: object
) -> object:
    if flag in flags:
        return flags[flag].value
    value = settings.get(name)
    return default if value is None else value


def _health(address: str | None) -> str:
    health = host_script.read(
        __file__, "health.sh", ADDRESS=address or "", STAYS_SECONDS=_STAYS_SECONDS
    )
    return f"{health}\ncri_serves() {{ is_healthy; }}"


def daemon(words: Sequence[Word], address: str | None) -> Daemon:
    """What :mod:`kubenode.runtimes.config_swap` has to know of kubelet.

    + words: what its unit starts it with once its files are changed
    + address: see :func:`health_address`

    No program tells whether kubelet would take a configuration; whether it takes its flags it tells
    itself. So that is what is asked before, and its health afterwards.
    """
    flags = " ".join(shlex.quote(word.text) for word in words)
    check = f"check() {{ limited {PROGRAM_SECONDS} kubelet {flags} --version 2>&1 >/dev/null; }}"
    runs = host_script.read(__file__, "program_runs.sh", PROGRAM_SECONDS=PROGRAM_SECONDS)
    functions = f"{_health(address)}\n{check}\n{runs}"
    return Daemon("kubelet", UNIT, functions, serves="is healthy")


def restart(words: Sequence[Word], address: str | None) -> StringCommand:
    """A command that restarts kubelet and waits until it is healthy, at most WAIT_SECONDS.

    + words: what its unit starts it with: the program is asked first whether it takes these
    + address: see :func:`health_address`

    Where kubelet does not take its flags it is not restarted, so that the one that runs runs on.
    """
    script = host_script.read(
        __file__,
        "restart.sh",
        FLAGS=" ".join(shlex.quote(word.text) for word in words),
        PROGRAM_SECONDS=PROGRAM_SECONDS,
        WAIT_SECONDS=WAIT_SECONDS,
    )
    return host_lock.under_lock(f"{CRI_FUNCTIONS.strip()}\n{_health(address)}\n{script}")


def enable() -> StringCommand:
    """A command that has kubelet started at boot; kubeadm starts it before."""
    # systemctl does not sync the link that it makes
    return host_lock.under_lock(
        f"systemctl daemon-reload\nsystemctl enable {shlex.quote(UNIT)} && sync"
    )
