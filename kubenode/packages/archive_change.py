"""The sh by which a host gets a release of containerd beside the others, and switches to it.

Each build has a directory of its own below :data:`ROOT`, which appears there by one rename when all
of it is unpacked, tried and on disk. The link ``current`` leads to the one in use, and the links in
:data:`PROGRAMS_IN` and :data:`RUNC_IN` lead through it: going to another version is one rename, and
going back is another. A build that a pod's shim runs from stays: without it the pod is lost when
containerd restarts (rancher/rke2#10613).

The functions are for a script under the host's lock, which restarts the daemon and decides whether
to go back.
"""

from __future__ import annotations

import base64
import shlex

from kubenode.files import whole_file
from kubenode.packages.archive import Build, take_static
from kubenode.run import host_script

ROOT = "/usr/local/lib/kubenode/containerd"
STORE = "/var/cache/kubenode"
"""Where archives wait until they are unpacked, for root alone."""
PROGRAMS_IN = "/usr/local/bin"
RUNC_IN = "/usr/local/sbin"
UNIT_FILE = "/usr/local/lib/systemd/system/containerd.service"
"""As upstream's instructions have it: it wins over a package's unit (systemd.unit(5))."""
UNITS_ABOVE = (
    "/etc/systemd/system/containerd.service",
    "/run/systemd/system/containerd.service",
)
"""What wins over it."""

SUMS = "kubenode-sums"
"""In each build: the sha256 of each of its files, and a last line. A build without it, or with a
file that is not as it says, is not whole."""
SUMS_END = "# end"

MOST_BYTES = 256 * 1024 * 1024
"""Of an archive, and of a program in it: containerd has 45 MB."""
MOST_BLOCKS = MOST_BYTES // 512

STORE_FUNCTIONS = host_script.read(__file__, "archive_store.sh")
BUILD_FUNCTIONS = host_script.read(
    __file__, "archive_builds.sh", SUMS=SUMS, SUMS_END=shlex.quote(SUMS_END)
)
"""What all archives' builds have, where ``archive_root``, ``archive_build`` and ``archive_old`` are
set."""

_UNIT_BEGINS = "# containerd of a release archive, by kubenode: see systemctl edit for drop-ins."

UNIT = f"""{_UNIT_BEGINS}
[Unit]
Description=containerd container runtime
Documentation=https://containerd.io
After=network.target dbus.service

[Service]
ExecStartPre=-/sbin/modprobe overlay
ExecStart={PROGRAMS_IN}/containerd
Type=notify
# pods' shims outlive a restart, and have cgroups of their own
KillMode=process
Delegate=yes
Restart=always
RestartSec=5
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
OOMScoreAdjust=-999

[Install]
WantedBy=multi-user.target
"""
"""What upstream's unit says (containerd's containerd.service), in our own words."""


def change(build: Build | None, old_build: str | None) -> str:
    """Variables and functions by which a host unpacks a build, and switches to it and back.

    + build: the new one; None leaves archives, so that a package's programs are the host's again
    + old_build: the name of the one that is in use, None for none: as the plan was made from

    The functions are ``archive_prepare``, ``archive_switch``, ``archive_back`` and
    ``archive_prune``; the head of ``archive_change.sh`` says what each does. They need
    :data:`kubenode.files.whole_file.FUNCTIONS` and :data:`kubenode.wire.time_limit.FUNCTIONS`
    before them, and what traps the shell's end has to come before them too.

    **Example:**

    .. code:: python

        functions = [whole_file.FUNCTIONS, time_limit.FUNCTIONS, change(build, None)]
        yield host_lock.under_lock("\\n".join([*functions, "archive_prepare", "archive_switch"]))
    """
    runc = None if build is None else build.runc
    unit = UNIT.encode()
    variables = {
        "archive_root": ROOT,
        "archive_store": STORE,
        "archive_programs_in": PROGRAMS_IN,
        "archive_runc_in": RUNC_IN,
        "archive_build": "" if build is None else build.name,
        "archive_version": "" if build is None else build.version,
        "archive_sum": "" if build is None else build.containerd.sha256,
        "archive_runc_sum": "" if runc is None else runc.sha256,
        "archive_old": old_build or "",
        "archive_unit_file": UNIT_FILE,
        "archive_units_above": " ".join(UNITS_ABOVE),
        "archive_unit_sum": whole_file.sum_of(unit),
        "archive_unit_text": base64.b64encode(unit).decode(),
    }
    functions = host_script.read(
        __file__,
        "archive_change.sh",
        BACKUP_SUFFIX=whole_file.BACKUP_SUFFIX,
        MOST_BLOCKS=MOST_BLOCKS,
        SUMS=SUMS,
        TAKE_STATIC=take_static("VERSION"),
        UNIT_BEGINS=_UNIT_BEGINS,
    )
    stated = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join([*stated, STORE_FUNCTIONS, BUILD_FUNCTIONS, functions])
