"""Cgroup drivers: what states one, and what a container's cgroup says of the one that made it.

Sources, for where containers are: runc's ``libcontainer/cgroups`` (systemd: ``SLICE:PREFIX:ID`` is
``SLICE/PREFIX-ID.scope``; cgroupfs: a path, which on v2 is beside the runtime's own service where
it is relative, and on v1 below it); containerd's ``getCgroupsPath`` (``k8s.io/ID`` without a
parent); CRI-O's ``internal/config/cgmgr`` (``crio-ID`` with both drivers, ``/crio`` without a
parent); cri-dockerd (a ``CgroupParent`` of Docker's).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from kubenode.files.cannot_tell import CannotTell
from kubenode.linux.place import Place

Driver = Literal["systemd", "cgroupfs"]


@dataclass(frozen=True, slots=True)
class Statement(Place):
    """A place that states a driver."""

    driver: Driver


def statement(value: object, file: str, text: str | None = None, pattern: str = "") -> Statement:
    """The statement that *value* makes.

    + value: what is stated, as the file's parser has it
    + file: path of the file, or the name of what else states it
    + text: the file's text; None for what has no lines
    + pattern: a regular expression for the line

    CannotTell when the value is no driver.

    Example: ``statement("systemd", "/etc/x", "a\\nd: systemd\\n", "^d:")`` is
    ``Statement("/etc/x", 2, "systemd")``.
    """
    if value not in ("systemd", "cgroupfs"):
        # YAML's aliases can make a value whose text has no end
        shown = (
            repr(value[:60])
            if isinstance(value, str)
            else f"a value of type {type(value).__name__}"
        )
        raise CannotTell(f"{file}: {shown} is no cgroup driver")
    found = re.search(pattern, text, re.MULTILINE) if text else None
    line = text.count("\n", 0, found.start()) + 1 if text and found else None
    return Statement(file, line, "systemd" if value == "systemd" else "cgroupfs")


class Container(NamedTuple):
    """A container, as its cgroup's name and place tell of it."""

    id: str
    cgroup: str
    """Path of its own cgroup: what is below belongs to whoever is in it."""
    runtime: str | None
    """Which CRI runtime made it; None: the name does not tell."""
    driver: Driver

    @property
    def is_kubelets(self) -> bool:
        """Whether it is where kubelet asks for: it, or what it is below, is named kubepods."""
        return "kubepods" in self.cgroup


_RUNTIMES = (
    "(containerd|crio|docker|cri-docker|kubelet|k3s|k3s-agent|rke2-server|rke2-agent|k0s[a-z]*)"
)
# systemd hands down subtrees of services and scopes only (Delegate=), and a user's or a container's
# processes are in one: what names there say is theirs. Slices are root's, and so is what is beside
# them: one folder of any name (kubelet's --cgroup-root too), and those below kubepods; not more, as
# LXC's containers are in a folder of a folder. runc's cgroupfs driver on v1 works below its
# runtime's own service.
_PLACE = (
    rf"(/[^/]+\.slice)*(/system\.slice/{_RUNTIMES}\.service)?"
    r"((/[^/.]+)?/kubepods(/[^/.]+){0,8}?|/k8s\.io|/[^/.]+)??"
)
_ID = "[0-9a-f]{32,64}"


def pattern(scopes: Iterable[str]) -> str:
    """An extended regular expression (regex(7)) for the lines of ``/proc/PID/cgroup`` that
    :func:`container_at` may find a container in.

    + scopes: what stands before a container's id, by runtime, such as ``crio-``
    """
    # what decides which container is the outer one has no word there
    place = _PLACE.replace("}?", "}").replace("??", "?")
    name = rf"([^/]*\.slice:[^/:]*:|{'|'.join(scopes)}|cri-containerd:)?{_ID}(\.scope)?"
    return f"^[0-9]+:[^:]*:{place}/{name}(/|$)"


def container_at(path: str, scopes: Mapping[str, str]) -> Container | None:
    """The container that a process in this cgroup belongs to.

    + path: as in ``/proc/PID/cgroup``
    + scopes: what stands before a container's id, by runtime, such as ``crio-``

    None when it is of something else, or of what a user or a container may have named so.

    Example: ``/kubepods.slice/crio-ID.scope/init`` is CRI-O's, by the systemd driver.
    """
    # a path is at most 4096 characters long, and a name 255: more makes the pattern slow only
    if len(path) > 4096 or any(len(name) > 255 for name in path.split("/")):
        return None
    found = re.fullmatch(
        rf"(?P<own>{_PLACE}/(?:[^/]*\.slice:(?P<asked>[^/:]*):"
        rf"|(?P<scope>{'|'.join(scopes.values())}|cri-containerd:))?"
        rf"(?P<id>{_ID})(?:\.scope)?)(?:/.*)?",
        path,
    )
    if not found:
        return None
    prefix = found["asked"] or (found["scope"] or "").rstrip("-:")
    if not prefix and found["own"] == f"/k8s.io/{found['id']}":
        # containerd's namespace for CRI
        prefix = "cri-containerd"
    runtime = next((name for name, scope in scopes.items() if scope == f"{prefix}-"), None)
    return Container(found["id"], found["own"], runtime, placed_by(found["id"], found["own"]))


def placed_by(container: str, path: str) -> Driver:
    """The driver that has placed a container: systemd's makes a scope, cgroupfs a folder.

    + container: its id
    + path: of a cgroup that it, or what is in it, is in
    """
    is_scope = any(f"-{name}".endswith(f"-{container}.scope") for name in path.split("/"))
    return "systemd" if is_scope else "cgroupfs"


def is_misplaced(path: str) -> bool:
    """Whether kubelet and the runtime that placed a container differ in their driver.

    + path: of the container's cgroup
    """
    # runc's cgroupfs driver takes "SLICE:PREFIX:ID", which is meant for systemd, for a path
    if any(_is_slice_and_id(folder) for folder in path.split("/")):
        return True
    # ... and its systemd driver makes a scope where a path of the cgroupfs driver was asked for
    return path.startswith("/system.slice/") and "kubepods" in path


def _is_slice_and_id(folder: str) -> bool:
    """Whether a folder's name is ``kubepods...slice:PREFIX:ID``."""
    before, _, rest = folder.rpartition(".slice:")
    return "kubepods" in before and ":" in rest
