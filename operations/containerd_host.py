"""What operations on containerd make of the facts they read."""

from __future__ import annotations

from collections.abc import Sequence

from packaging.version import Version

from kubenode.facts.containerd import ContainerdFilesShape, ContainerdShape
from kubenode.facts.runtime import CniShape
from kubenode.files.exact_text import bytes_of
from kubenode.files.toml_text import Path
from kubenode.linux.place import PlaceShape
from kubenode.linux.unit import unit_of
from kubenode.runtimes.config_swap import Daemon
from kubenode.runtimes.containerd import proof
from kubenode.runtimes.containerd.plan import CniInForce
from kubenode.runtimes.containerd.state import HandlerInForce, Replaced, State

COMES_FIRST = "containerd is not installed: containerd.installed comes first"
CANNOT_TELL = "cannot tell how containerd is configured, see the lines above"


def contents(now: ContainerdFilesShape) -> dict[str, bytes]:
    files = now["files"].items()
    return {path: bytes_of(content) for path, content in files}


def state(daemon: ContainerdShape) -> State:
    pods = daemon["pods"]
    pending = daemon["restart_pending"]
    return State(
        main=daemon["config"]["path"],
        socket=daemon["socket"],
        unit=unit_of(daemon["unit"]),
        cri=daemon["cri"],
        has_ctr=daemon["ctr"],
        error=daemon["config"]["error"],
        is_effective=daemon["effective"],
        handlers={
            name: HandlerInForce(
                handler["runtime_type"],
                handler["cgroup_driver"],
                handler["recognised"],
                _place(handler["stated"]),
                _place(handler["defined"]),
            )
            for name, handler in daemon["handlers"].items()
        },
        default_handler=daemon["default_handler"],
        pods=None if pods is None else {"systemd": pods["systemd"], "cgroupfs": pods["cgroupfs"]},
        restart_pending=None if pending is None else tuple(pending),
        clock_set_back=tuple(daemon["clock_set_back"]),
        replaced=_replaced(daemon),
    )


def _replaced(daemon: ContainerdShape) -> Replaced | None:
    binary = daemon["installed"]["binary"]
    if not daemon["program_replaced"] or binary is None:
        return None
    running, there = daemon["running_version"], daemon["installed"]["version"]
    return Replaced(
        binary,
        None if running is None else Version(running),
        None if there is None else Version(there),
    )


def cni_in_force(now: CniShape) -> CniInForce:
    return CniInForce(tuple(now["bin_dirs"] or ()), now["plugins"], now["found"])


def _place(source: PlaceShape | None) -> str | None:
    return f"{source['file']}:{source['line']}" if source else None


def daemon_of(daemon: ContainerdShape, stated: Sequence[Path] = ()) -> Daemon:
    # one that is not there yet is looked for in PATH, with no directory before it
    program = daemon["installed"]["binary"] or "/usr/bin/containerd"
    return proof.daemon(program, daemon["socket"], stated)
