"""Pods with a memory limit: what kubelet is told of one, and where its cgroups are."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from tests.soak.loops import say
from tests.vm.machine import Machine

MANIFEST = "/etc/kubernetes/manifests/static.json"
"""Where kubelet looks for a static pod."""
MEMORY_LIMIT = 64 * 1024 * 1024
WAIT_SECONDS = 900
"""For what emulated machines take minutes for."""


def limited(name: str, image: str, **spec: Any) -> dict[str, Any]:
    """A pod with one container that has a memory limit.

    + image: that the node has, or can pull
    + spec: more of the pod's
    """
    container = {
        "name": "it",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "resources": {"limits": {"memory": str(MEMORY_LIMIT)}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], **spec},
    }


def limits(machine: Machine) -> list[str]:
    """The cgroups with the pod's limit: its own, and its container's."""
    return machine.sh(
        f"grep -rlxs {MEMORY_LIMIT} /sys/fs/cgroup --include=memory.max || :"
    ).splitlines()


def until(what: str, check: Callable[[], bool]) -> None:
    """Wait for something, and say how long it took."""
    started = time.monotonic()
    while True:
        with contextlib.suppress(OSError, KeyError):
            if check():
                say(f"{what}: after {time.monotonic() - started:.0f} s")
                return
        assert time.monotonic() - started < WAIT_SECONDS, f"{what}: not in {WAIT_SECONDS} s"
        # each look is work for the machine, too
        time.sleep(5)
