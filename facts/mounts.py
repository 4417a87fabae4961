"""Which file systems are mounted where facts look, read once for all of them."""

from __future__ import annotations

from kubenode.run import host_script
from kubenode.wire.reading import Reading

PLACES = (
    "/", "/usr", "/var", "/var/lib", "/var/log", "/var/lib/kubelet", "/var/lib/containerd",
    "/sys/fs/cgroup",
)  # fmt: skip
"""And all that is mounted below the last one."""

READ = host_script.read(__file__, "mounts.sh", PLACES="|".join(PLACES))
"""For :attr:`kubenode.wire.probe.Script.shared`. A node has hundreds of mounts nobody asks for."""


def mounted(reading: Reading, key: str = "mounts") -> dict[str, tuple[str, list[str]]] | None:
    """File system type and options by mount point; None when they could not be read.

    + reading: of a probe with :data:`READ`
    + key: of the text with lines of ``/proc/self/mounts``

    Of several mounts at one place the last one hides the others.
    """
    if key not in reading.texts:
        return None
    mounts = {}
    for line in reading.text(key):
        fields = line.split(" ")
        if len(fields) >= 4:
            mounts[fields[1]] = (fields[2], fields[3].split(","))
    return mounts
