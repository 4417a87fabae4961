"""Whether this machine's KVM runs a Linux kernel: a device that opens says too little."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

_SECONDS = 10


@functools.cache
def has_kvm(kernel: Path) -> bool:
    """Whether *kernel* starts under KVM.

    Without a root file system it ends in a panic, which is soon enough. Nested in another virtual
    machine KVM may open, and even run a firmware, and a kernel hangs all the same.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    command = [
        *("qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "512", "-no-reboot"),
        *("-nodefaults", "-display", "none", "-serial", "stdio", "-kernel", str(kernel)),
        *("-append", "console=ttyS0 panic=-1"),
    ]
    try:
        run = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        return False
    return b"Kernel panic" in run.stdout
