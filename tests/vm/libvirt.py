"""libvirt's own command line, for what Vagrant has no command for."""

from __future__ import annotations

import subprocess


def virsh(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run virsh for the machine's libvirt; what came of it, in whatever exit code."""
    return subprocess.run(
        ["virsh", "--quiet", "--connect", "qemu:///system", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
