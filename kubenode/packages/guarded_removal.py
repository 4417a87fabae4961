"""Remove packages with apt, and let nothing go with them that nobody was told of."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pyinfra.api import StringCommand

from kubenode.packages import manager, package_locks
from kubenode.packages.source import check_package
from kubenode.run import host_script


def remove(packages: Sequence[str], masked: str) -> StringCommand:
    """The command that removes packages, held or not, and fails before if more would go.

    + packages: their names
    + masked: the unit of one of them that its removal leaves masked, empty for none. Nothing that
      the administrator has masked: that stays

    Configuration files stay, as by every ``apt-get remove``.
    """
    for name in packages:
        check_package(name)
    script = host_script.read(
        __file__,
        "guarded_removal.sh",
        APT_GET=manager.APT_GET,
        PACKAGES=shlex.quote(" ".join(packages)),
        UNIT=masked,
        WAIT_SECONDS=package_locks.WAIT_SECONDS,
    )
    return package_locks.patiently("apt-get", f"\n{script}")
