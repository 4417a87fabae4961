"""What of containerd a host has besides its program: what is ours, what runs, and what is kept."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import TypedDict

from kubenode.files.whole_file import BACKUP_SUFFIX
from kubenode.packages.source import check_package
from kubenode.run import host_script
from kubenode.runtimes.containerd import service
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "containerd-left"

OWN_BEGINS = "# Written by kubenode"
"""How the first line of what kubenode writes whole begins."""

STATE = "/run/containerd"

_PATH = re.compile(r"/[\w./@+:-]{1,512}", re.ASCII)


class TaskShape(TypedDict):
    """A container that runs."""

    namespace: str
    """``k8s.io`` for pods, ``moby`` for Docker."""
    id: str


class ContainerdLeftShape(TypedDict):
    """What :class:`ContainerdLeft` returns."""

    own: list[str] | None
    """Files that kubenode wrote, and what it kept of its own; None: it cannot be told."""
    kept: list[str]
    """Other files in ``/etc/containerd``."""
    tasks: list[TaskShape] | None
    """None: it cannot be told."""
    mounts: list[str]
    """What is mounted below the data root."""
    data: list[str] | None
    """What containerd has put into its data root, by name; None: it cannot be told."""
    sockets: list[str]
    needed_by: list[str] | None
    """Packages that depend on containerd's; None: dpkg does not say, or there is none."""
    runc_is_alone: bool
    """Whether apt has installed runc for others, and nothing else depends on it."""


def script(directories: Sequence[str], root: str, packages: Sequence[str]) -> probe.Script:
    """The probe's script.

    + directories: of registries' ``hosts.toml``
    + root: containerd's data root
    + packages: those that would be removed
    """
    return probe.Script(
        host_script.read(
            __file__,
            "containerd_left.sh",
            OWN_BEGINS=OWN_BEGINS,
            BACKUP_SUFFIX=BACKUP_SUFFIX,
            FILES=" ".join(service.FILES),
            DIRECTORIES=" ".join(map(shlex.quote, directories)),
            STATE=STATE,
            ROOT=shlex.quote(root),
            PACKAGES=" ".join(packages),
        ),
        at_times=("dpkg", "grep"),
        answers=("own", "tasks", "mounted_below", "data", "sockets"),
    )


def parse(reading: Reading) -> ContainerdLeftShape:
    """The shape from what the host sent."""

    def lines(key: str) -> list[str] | None:
        if key in reading.unreadable or key not in reading.texts:
            return None
        return [line for line in reading.text(key) if line]

    tasks = lines("tasks")
    needed_by = lines("needed_by")
    return {
        "own": lines("own"),
        "kept": lines("kept") or [],
        "tasks": None
        if tasks is None
        else [
            {"namespace": namespace, "id": name}
            for namespace, _, name in (line.partition(" ") for line in tasks)
        ],
        "mounts": lines("mounted_below") or [],
        "data": lines("data"),
        "sockets": lines("sockets") or [],
        "needed_by": None
        if needed_by is None
        else [match[1] for line in needed_by if (match := re.match(r" (\S+) depends on ", line))],
        "runc_is_alone": reading.value("runc_is_alone") == "yes",
    }


class ContainerdLeft(ProbeFact[ContainerdLeftShape]):
    """
    Returns what of containerd a host has besides its program (:class:`ContainerdLeftShape`).

    + directories: of registries' ``hosts.toml``
    + root: containerd's data root
    + packages: those that would be removed

    .. code:: python

        {
            "own": ["/etc/containerd/certs.d/docker.io/hosts.toml"],
            "kept": ["/etc/containerd/config.toml"],
            "tasks": [{"namespace": "k8s.io", "id": "fe3f6881..."}],
            "mounts": [],
            "data": ["io.containerd.content.v1.content"],
            "sockets": ["/run/containerd/containerd.sock"],
            "needed_by": [],
            "runc_is_alone": True,
        }

    **Example:**

    .. code:: shell

        pyinfra INVENTORY fact kubenode.facts.containerd_left.ContainerdLeft
    """

    def command(
        self,
        directories: Sequence[str] | str = "/etc/containerd/certs.d",
        root: str = "/var/lib/containerd",
        packages: Sequence[str] | str = (),
    ) -> str:
        folders = directories.split(",") if isinstance(directories, str) else list(directories)
        names = packages.split(",") if isinstance(packages, str) else list(packages)
        for path in (*folders, root):
            if not _PATH.fullmatch(path):
                return self.refused(f"{path!r} is no absolute path without blanks")
        for name in names:
            try:
                check_package(name)
            except ValueError as error:
                return self.refused(str(error))
        return self.asking({PROBE: script(folders, root, names)})

    def parse(self, readings: Readings) -> ContainerdLeftShape:
        return parse(readings[PROBE])
