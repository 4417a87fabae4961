"""Install packages with apt, and let nothing go for them that nobody was told of."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence

from pyinfra.api import StringCommand

from kubenode.packages import manager, package_locks
from kubenode.run import host_script


def unannounced(removes: Mapping[str, str], replaces: Collection[str]) -> str | None:
    """Why packages must not be installed: what would go for them. None when nobody minds.

    + removes: versions by name of what would go
    + replaces: names of what may go
    """
    going = [f"{name} {version}" for name, version in removes.items() if name not in replaces]
    if not going:
        return None
    names = ", ".join(repr(name) for name in removes)
    return (
        f"{', '.join(going)} would be removed for it: see what uses that, and name all of it if it "
        f"may go: replaces=({names},)"
    )


def install(pinned: Sequence[str], may_go: Collection[str]) -> StringCommand:
    """The command that installs packages, and fails before if more would go than may.

    + pinned: packages, with their versions where they are to be exact, as
      :func:`kubenode.packages.manager.pinned` gives them. A held one changes only where one is
    + may_go: names of the packages that go for them
    """
    words = " ".join(map(shlex.quote, pinned))
    held = manager.apt_held(any("=" in each for each in pinned))
    script = host_script.read(
        __file__,
        "guarded_install.sh",
        SIMULATION="apt-get -q -s install --no-install-recommends --allow-downgrades"
        f"{held} {words}",
        MAY_GO=shlex.quote(" ".join(may_go)),
        INSTALL=manager.install_with_apt(pinned, package_locks.WAIT_SECONDS),
    )
    return package_locks.patiently("apt-get", f"\n{script}")
