"""What has to be done so that a host has no containerd any more, or why nothing may; pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyinfra.api import StringCommand

from kubenode.files import host_lock, whole_file
from kubenode.packages import archive_change
from kubenode.run import host_script
from kubenode.runtimes.containerd import packages
from kubenode.runtimes.runtime import CONTAINERD
from kubenode.wire import time_limit

STATE = "/run/containerd"

(_UNIT,) = CONTAINERD.units
_OF_OTHERS = "docker, buildkit or nerdctl"


@dataclass(frozen=True)
class Present:
    """What a host has of containerd.

    + binary: the program, None when there is none
    + packages: version by name of those of containerd, and of those that need it
    + build: the archive's build that is in use, None for none
    + has_archives: whether there are builds, links or a unit of archives at all
    + own: files that kubenode wrote
    + kept: other files in ``/etc/containerd``
    + tasks: containers that run, as ``NAMESPACE ID``
    + root: the data root
    + data: names in it that are containerd's
    + mounts: what is mounted below it
    + sockets: those that are there
    + needed_by: packages that depend on containerd's
    + runc_is_alone: whether apt has installed runc for others, and nothing else needs it
    + is_active: whether the service runs
    """

    binary: str | None
    packages: Mapping[str, str] = field(default_factory=dict)
    build: str | None = None
    has_archives: bool = False
    own: Sequence[str] = ()
    kept: Sequence[str] = ()
    tasks: Sequence[str] = ()
    root: str = CONTAINERD.data_root
    data: Sequence[str] = ()
    mounts: Sequence[str] = ()
    sockets: Sequence[str] = ()
    needed_by: Sequence[str] = ()
    runc_is_alone: bool = False
    is_active: bool = False


@dataclass(frozen=True)
class Removal:
    """What to do, or why not to.

    + blocked: why nothing may be done
    + stops: whether the service is stopped
    + packages: names of those that go
    + leaves_archive: whether builds, links and unit of archives go
    + own: files that go
    + data: names in the data root that go
    + sockets: that go
    + explained: what is done, a sentence each
    + stays: what stays, a sentence each
    """

    blocked: str | None = None
    stops: bool = False
    packages: Sequence[str] = ()
    leaves_archive: bool = False
    own: Sequence[str] = ()
    data: Sequence[str] = ()
    sockets: Sequence[str] = ()
    explained: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.explained and self.blocked is None


def removal(now: Present, data: bool, end_containers: bool) -> Removal:
    """
    What to do so that containerd is gone.

    + now: what the host has
    + data: images and containers go too
    + end_containers: containers that run are ended first

    **Example:**

    .. code:: python

        removal(Present("/usr/bin/containerd", {"containerd": "1.7.24"}), False, False).packages
    """
    going = _packages(now)
    if problem := _problem(now, going, data, end_containers):
        return Removal(blocked=f"{problem}: nothing was removed")
    explained = []
    if now.tasks:
        explained.append(f"end the {len(now.tasks)} containers that run")
    # a package's own scripts stop it too, and rpm's not in every case
    stops = now.is_active or bool(now.tasks)
    if stops:
        explained.append(f"stop {_UNIT}")
    explained += [f"remove the package {name} {now.packages[name]}" for name in going]
    if now.has_archives:
        explained.append(f"remove the releases in {archive_change.ROOT}, their links and unit")
    explained += [f"remove {path}, which kubenode wrote" for path in now.own]
    # a daemon that runs has its own
    sockets = tuple(now.sockets) if stops or not now.is_active else ()
    explained += [f"remove {path}" for path in sockets]
    names = tuple(now.data) if data else ()
    if names:
        explained.append(f"remove all images and containers in {now.root}")
    return Removal(
        None,
        stops,
        going,
        now.has_archives,
        tuple(now.own),
        names,
        sockets,
        tuple(explained),
        _stays(now, going, data),
    )


def _packages(now: Present) -> list[str]:
    going = [name for name in ("containerd", "containerd.io") if name in now.packages]
    takes_runc = going and now.runc_is_alone and "runc" in now.packages
    return [*going, "runc"] if takes_runc else going


def _problem(now: Present, going: Sequence[str], data: bool, end_containers: bool) -> str | None:
    docker = [name for name in packages.NEED_IT if name in now.packages]
    if docker:
        return f"{', '.join(docker)} is installed and needs containerd: remove Docker first"
    if now.needed_by:
        return f"{', '.join(now.needed_by)} depends on it: see what uses that first"
    if now.binary and not going and not now.has_archives:
        return (
            f"{now.binary} is from no package, and from no archive of kubenode's: remove it as it "
            "came"
        )
    if now.tasks and not end_containers:
        namespaces = sorted({task.partition(" ")[0] for task in now.tasks})
        return (
            f"{len(now.tasks)} containers run ({', '.join(namespaces)}): drain the node first "
            f"(kubectl drain), end those of {_OF_OTHERS}, or set end_containers"
        )
    if data and now.mounts:
        return (
            f"{', '.join(now.mounts[:3])} is mounted in containerd's data, which would go: unmount "
            "it first"
        )
    return None


def _stays(now: Present, going: Sequence[str], data: bool) -> tuple[str, ...]:
    stays = []
    if now.kept:
        stays.append(", ".join(now.kept))
    if "runc" in now.packages and "runc" not in going:
        stays.append(f"the package runc {now.packages['runc']}")
    if now.data and not data:
        stays.append(f"images and containers in {now.root} (data=True removes them)")
    return tuple(stays)


def stopped(plan: Removal, socket: str, end_containers: bool) -> StringCommand:
    """The command that stops containerd.

    + plan: what is not blocked
    + socket: the daemon's
    + end_containers: whether containers that run are ended first. Otherwise the command fails
      where one has come meanwhile
    """
    script = host_script.read(
        __file__,
        "stop_for_good.sh",
        DISABLES="" if plan.packages else "yes",
        ENDS="yes" if end_containers else "",
        SOCKET=shlex.quote(socket),
        STATE=STATE,
        UNIT=_UNIT,
    )
    return host_lock.under_lock(f"{time_limit.FUNCTIONS.strip()}\n{script}")


def taken_away(plan: Removal, root: str, data: bool) -> StringCommand:
    """The command that takes away what no package manager does.

    + plan: what is not blocked
    + root: the data root
    + data: whether what is in it goes
    """
    script = host_script.read(
        __file__,
        "take_away.sh",
        ROOT=shlex.quote(root),
        SOCKETS=" ".join(plan.sockets),
        STATE=STATE,
        TAKES_DATA="yes" if data else "",
        UNIT=_UNIT,
    )
    parts = [
        whole_file.FUNCTIONS.strip(),
        f"own={shlex.quote(_lines(plan.own))}",
        f"data={shlex.quote(_lines(plan.data))}",
    ]
    if plan.leaves_archive:
        leaves = host_script.read(__file__, "leave_archives.sh")
        parts += [time_limit.FUNCTIONS.strip(), archive_change.change(None, None), leaves]
    return host_lock.under_lock("\n".join([*parts, script]))


def _lines(words: Sequence[str]) -> str:
    return "\n".join(words)
