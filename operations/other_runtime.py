"""Whether a runtime may be set up on a host that has another one, and whose pods run there."""

from __future__ import annotations

from collections.abc import Sequence

from kubenode.facts.pods import Pods, PodsShape
from kubenode.runtimes import other_runtimes
from kubenode.runtimes.other_runtimes import OtherRuntime, RuntimesShape
from kubenode.runtimes.runtime import CONTAINERD, DOCKER, Runtime
from kubenode.wire import joint_reading


def problem(shape: RuntimesShape, wanted: Runtime, replace_runtime: bool) -> str | None:
    """Why *wanted* must not be set up beside the runtime that a host has; None when it may.

    + shape: what the host has
    + wanted: the runtime that is wanted
    + replace_runtime: whether it shall take the place of another one. That is asked of a host whose
      pods have ended: they are counted on it
    """
    if why := other_runtimes.refusal(shape, wanted, replaces=replace_runtime):
        return f"{': '.join(why)}: nothing was changed"
    others = other_runtimes.in_use(shape, wanted)
    if not others:
        return None
    if why_not := pods_of(joint_reading.get_fact(Pods), others, wanted):
        return f"{why_not}: nothing was changed"
    return None


def pods_of(pods: PodsShape | None, others: Sequence[OtherRuntime], wanted: Runtime) -> str | None:
    """Why pods keep a host's runtime from being replaced, and what to do; None when none does.

    + pods: what the fact says, None where it did not answer
    + others: the runtimes that *wanted* replaces
    + wanted: the runtime that is wanted

    What Docker Engine has beside pods counts where it is the one that stops. Where containerd is
    Docker's afterwards nothing of it stops, and only pods count.
    """
    names = " and ".join(other.name for other in others)
    if pods is None:
        return f"nobody can tell whether pods run, and so {names} is not replaced"
    stops = wanted.cri != DOCKER.cri or any(other.name != CONTAINERD.cri for other in others)
    counted = [*pods["runtimes"].values(), pods["unnamed"], *([pods["outside"]] if stops else [])]
    count = sum(each["systemd"] + each["cgroupfs"] for each in counted)
    if count == 0:
        return None
    return (
        f"{count} containers run, which {wanted.cri} does not take over from {names}: drain the "
        "node (kubectl drain NODE --ignore-daemonsets), end what stays on it (systemctl stop "
        "kubelet; crictl rmp --all --force), and run this again"
    )
