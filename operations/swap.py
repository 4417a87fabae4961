"""Swap: off now and after every boot, or left to a kubelet that can live with it."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from typing import Any

from pyinfra import host
from pyinfra.api import FunctionCommand, OperationValueError, StringCommand, operation

from kubenode.facts import swap as facts
from kubenode.facts.kubelet import Kubelet, KubeletShape
from kubenode.facts.platform import Platform
from kubenode.facts.swap import SwapDeviceShape, SwapSources, SwapSourcesShape
from kubenode.files import exact_text, whole_file
from kubenode.linux.swap_off import Edit, SwapOff, swap_off
from kubenode.run import asked, host_script
from kubenode.run.telling import explain, explain_file, refuse
from kubenode.wire import joint_reading, time_limit
from kubenode.wire.bounded import CHANGE_SECONDS, bounded

Commands = Generator[StringCommand | FunctionCommand, Any, None]

SWAPOFF_SECONDS = 900
"""How long swapoff may take: it reads from disk what was swapped out."""
MARGIN_KIB = 128 * 1024
"""Memory that has to be left when what was swapped out is back in it."""

_CANNOT_TELL = "cannot tell what turns swap on: the host did not answer"
_KEEP = 'kubenode_swap="keep" leaves swap as it is'
_KUBELET_SIDE = "failSwapOn: false and memorySwap: {swapBehavior: LimitedSwap}"


@operation()
@bounded(SWAPOFF_SECONDS + CHANGE_SECONDS)
def off(unless_allowed: bool = False) -> Commands:
    """
    Turn swap off, now and after every boot.

    + unless_allowed: True leaves swap as it is where kubelet is told to live with it
      (``failSwapOn: false``)

    Each source loses its swap by its own means, and what it was stays beside it or in it:

    + a line of ``/etc/fstab`` becomes a comment; where systemd would take a swap partition then
      (systemd-gpt-auto-generator), it gets a line with ``noauto``
    + ``.swap`` units and the services that are known to make swap (zramswap, dphys-swapfile,
      swapspace, ...) are masked by an empty file; the services are stopped
    + sections of zram-generator.conf become comments; WALinuxAgent and cloud-init get their setting
    + scripts, crontabs and other services that call swapon are not edited: the host is refused, and
      the message names them. So it is where it cannot be told whether something turns swap on

    Then all that is on is turned off, the file of a swap file stays. The host is refused, before
    anything is changed, when what is swapped out does not fit into memory. swapoff may take
    :data:`SWAPOFF_SECONDS`. A run that was interrupted is finished by the next one.

    **Example:**

    .. code:: python

        from kubenode.operations import swap

        swap.off(name="No swap")
    """
    if not isinstance(unless_allowed, bool):
        raise OperationValueError(f"unless_allowed is True or False, not {unless_allowed!r}")
    if problem := _asked_otherwise("off"):
        yield refuse(host, asked.contradiction(host, problem))
        return
    now, kubelet = _read(unless_allowed)
    if now is None or (unless_allowed and kubelet is None):
        yield refuse(host, _CANNOT_TELL)
        return
    if kubelet is not None and kubelet["fail_swap_on"] is False:
        host.noop("kubelet is told to live with swap (failSwapOn: false): it stays as it is")
        return
    to_do = swap_off(facts.at_boot(now), now["texts"])
    if problem := _cannot(now, to_do):
        yield refuse(host, f"{problem}: nothing was changed; {_KEEP}")
        return
    if not (now["live"] or to_do.edits or now["running"]):
        host.noop("no swap is on, and nothing turns it on at boot")
        return
    if kubelet is not None and kubelet["fail_swap_on"] is None:
        why = f"cannot tell whether kubelet is told to live with swap ({kubelet['error']})"
        yield refuse(host, f'{why}: correct that, or say kubenode_swap="off" or "keep"')
        return
    _explain(now, to_do)
    changes = [_explained(edit) for edit in to_do.edits]
    yield whole_file.change(changes, *_steps(to_do, now["running"]))


def _read(also_kubelet: bool) -> tuple[SwapSourcesShape | None, KubeletShape | None]:
    if also_kubelet:
        both = joint_reading.get_both(SwapSources, Kubelet)
        return both
    return joint_reading.get_fact(SwapSources), None


def _asked_otherwise(how: str) -> str | None:
    if any(other != how for other in asked.by_others(host, "swap", how)):
        return "swap.off and swap.limited are called in one run: remove one of them"
    return None


def _cannot(now: SwapSourcesShape, to_do: SwapOff) -> str | None:
    """Why swap cannot be turned off for sure, None when it can."""
    if now["live"] is None:
        return "/proc/swaps cannot be read"
    problems = [f"cannot read {path}" for path in now["unreadable"]] + to_do.blocked
    used = sum(device["used_kib"] for device in now["live"])
    available = now["available_kib"]
    if used and available is None:
        problems.append("/proc/meminfo does not say how much memory is available")
    elif used and available is not None and used + MARGIN_KIB > available:
        problems.append(
            f"what is in swap ({_mib(used)}) does not fit into memory ({_mib(available)} are "
            f"available, of which {_mib(MARGIN_KIB)} are to stay free)"
        )
    return "; ".join(problems) or None


def _mib(kib: int) -> str:
    return f"{kib // 1024} MiB"


def _explain(now: SwapSourcesShape, to_do: SwapOff) -> None:
    """Say what turns swap on and what becomes of it; the files say the rest."""
    for sentence in to_do.explained:
        explain(host, sentence)
    for device in now["live"] or []:
        explain(host, _off_now(device))
    for unit in now["running"]:
        explain(host, f"{unit}: running -> stopped")
    used = sum(device["used_kib"] for device in now["live"] or [])
    if used:
        explain(host, f"{_mib(used)} go back into memory, for which swapoff may take minutes")
    if now["resume"]:
        explain(
            host,
            f"boots look for {now['resume']} to resume from, and wait for it where it is gone: "
            "before you remove it, take resume= from the kernel command line, or write RESUME=none "
            "to /etc/initramfs-tools/conf.d/resume and run update-initramfs -u",
        )


def _off_now(device: SwapDeviceShape) -> str:
    size = f"{device['device']} ({_mib(device['size_kib'])}, {_mib(device['used_kib'])} in use)"
    stays = "; the file stays" if device["kind"] == "file" else ""
    return f"{size}: on -> off{stays}"


def _explained(edit: Edit) -> whole_file.Change:
    explain_file(host, edit.path, edit.old, edit.new)
    old = None if edit.old is None else exact_text.bytes_of(edit.old)
    return whole_file.Change(edit.path, old, exact_text.bytes_of(edit.new))


_SCRIPT = host_script.read(
    __file__, "swap_off.sh", MARGIN_KIB=MARGIN_KIB, SWAPOFF_SECONDS=SWAPOFF_SECONDS
)
FUNCTIONS = f"{time_limit.FUNCTIONS.strip()}\n{_SCRIPT.strip()}"
"""What turns swap off on the host."""


def _steps(to_do: SwapOff, running: list[str]) -> tuple[str, str]:
    """Sh that runs before the files are replaced, and sh that turns swap off when they are.

    The files come first: what is interrupted then has no swap after a boot. systemd reads them
    last: a unit whose file is gone for it, it cannot stop as that said (zram-generator(8)).
    """
    steps = ["turn_off"]
    if units := [*running, *to_do.zram_units]:
        steps += [f"stop {' '.join(map(shlex.quote, units))}", "turn_off"]
    if to_do.edits:
        steps.append("forget")
    return f"{FUNCTIONS}\nfits", "\n".join([*steps, "stays_off"])


@operation()
@bounded(CHANGE_SECONDS)
def limited() -> Commands:
    """
    Fail a host on which kubelet cannot give pods swap (``LimitedSwap``). It changes nothing.

    A host passes with cgroup v2, which LimitedSwap needs. Where kubelet has a configuration that
    says otherwise, or cannot be understood, the host fails. Where it has none yet, it is said what
    kubelet must be told: kubenode does not configure it. LimitedSwap is for workers; control planes
    are better without.

    Source: KEP-2400; https://kubernetes.io/docs/concepts/cluster-administration/swap-memory-management/

    **Example:**

    .. code:: python

        from kubenode.operations import swap

        swap.limited(name="Pods may swap")
    """
    if problem := _asked_otherwise("limited"):
        yield refuse(host, asked.contradiction(host, problem))
        return
    both = joint_reading.get_both(Kubelet, Platform)
    kubelet, platform = both
    if kubelet is None or platform is None:
        yield refuse(host, "cannot tell what kubelet and cgroups are like: the host did not answer")
        return
    mode = platform["cgroups"]["mode"]
    if mode != "v2":
        yield refuse(
            host, f"LimitedSwap needs cgroup v2, and this host has {mode or 'an unknown mode'}"
        )
        return
    if problem := _kubelet_does_not(kubelet):
        yield refuse(host, problem)
        return
    if kubelet["config"] is None:
        explain(host, f"kubelet has no configuration yet, which must say {_KUBELET_SIDE}")
        host.noop(f"swap stays as it is; kubelet must be told {_KUBELET_SIDE}")
        return
    host.noop("swap stays as it is; kubelet is told failSwapOn: false and LimitedSwap")


def _kubelet_does_not(kubelet: KubeletShape) -> str | None:
    """Why kubelet's configuration is not one for LimitedSwap, None where it has none."""
    if kubelet["error"]:
        return f"cannot tell what kubelet makes of swap: {kubelet['error']}"
    told = (kubelet["fail_swap_on"], kubelet["swap_behavior"])
    if kubelet["config"] is None or told == (False, "LimitedSwap"):
        return None
    return (
        f"{kubelet['config']} has failSwapOn: {str(told[0]).lower()} and swapBehavior "
        f"{told[1] or 'NoSwap'}: with swap kubelet must be told {_KUBELET_SIDE}"
    )
