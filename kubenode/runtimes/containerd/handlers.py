"""Runtime handlers (runc, nvidia, kata) and what is known of their shims."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from kubenode.files.toml_text import Path
from kubenode.runtimes.containerd.document import DRIVER, Document
from kubenode.runtimes.containerd.tables import tables_of

Kind = Literal["runc", "own", "unrecognised"]

_RUNC_TYPES = frozenset({"io.containerd.runc.v2", "io.containerd.runc.v1"})
_OWN_SETTINGS = re.compile(r"(kata(-[\w-]+)?|runsc|runhcs|firecracker|urunc)")
"""Shims of virtual machines and sandboxes, which are told their cgroup driver elsewhere."""
LEGACY_TYPE = "io.containerd.runtime.v1.linux"
DEFAULT_TYPE = "io.containerd.runc.v2"


_LEGACY_HANDLERS = ("default_runtime", "untrusted_workload_runtime")


@dataclass(frozen=True)
class Handler:
    """A runtime handler as a file states it."""

    name: str
    """Its name in ``runtimes``, or the deprecated table ``default_runtime`` or
    ``untrusted_workload_runtime`` of version 2."""
    runtime_type: str | None
    kind: Kind
    """``runc``: ``SystemdCgroup`` is its setting, as of runc itself and what stands in for the
    binary (nvidia, crun, youki). ``own``: it has settings of its own (kata, runsc).
    ``unrecognised``: it is not known what its shim makes of ``SystemdCgroup``."""
    systemd_cgroup: bool | None
    """None when the file does not say. The spelling that counts, where there are several."""
    table: Path

    @property
    def type_path(self) -> Path:
        """Where its runtime_type stands."""
        return (*self.table, "runtime_type")

    @property
    def driver_path(self) -> Path:
        """Where its cgroup driver stands."""
        return (*self.table, "options", DRIVER)

    @property
    def is_runc_type(self) -> bool:
        """Whether it is brought in line: runc's shim, and any that is told a driver."""
        return self.kind == "runc" or (
            self.systemd_cgroup is not None and not (self.runtime_type or "").startswith("/")
        )


_MOST_HANDLERS = 64
"""Of a file: an edit looks at the whole of it for each. GPU hosts have five."""


def handlers_of(config: Document) -> Iterator[Handler]:
    """The handlers a file states, those of its own version's table first.

    + config: the file
    """
    for tables in tables_of(config.version):
        runtimes = (*tables.containerd, "runtimes")
        if len(config.get(runtimes, dict) or {}) > _MOST_HANDLERS:
            reason = f"has more than {_MOST_HANDLERS} runtime handlers, which are not read"
            raise config.wrong(runtimes, reason)
        for name in config.get(runtimes, dict) or {}:
            yield _handler(config, (*runtimes, name), name)
        for name in _LEGACY_HANDLERS if tables.has_legacy_handlers else ():
            # `config dump` of 1.x prints them empty
            if config.get((*tables.containerd, name, "runtime_type"), str):
                yield _handler(config, (*tables.containerd, name), name)


def _handler(config: Document, table: Path, name: str) -> Handler:
    config.get(table, dict)
    runtime_type = config.get((*table, "runtime_type"), str)
    systemd_cgroup = config.get((*table, "options", DRIVER), bool)
    return Handler(
        name=name,
        runtime_type=runtime_type,
        kind=kind_of(name, runtime_type, systemd_cgroup),
        systemd_cgroup=systemd_cgroup,
        table=table,
    )


def kind_of(name: str, runtime_type: str | None, systemd_cgroup: bool | None) -> Kind:
    """What a handler is like, see :attr:`Handler.kind`.

    + name: its name
    + runtime_type: as it is stated, None when it is not
    + systemd_cgroup: the same of its driver
    """
    if runtime_type in _RUNC_TYPES:
        return "runc"
    if not runtime_type:
        # A drop-in may leave the type to the main file.
        return "runc" if name == "runc" or systemd_cgroup is not None else "unrecognised"
    # io.containerd.NAME.VERSION is the program containerd-shim-NAME-VERSION
    found = re.fullmatch(
        r"io\.containerd\.(?P<name>.+)\.v\d+|/(?:.*/)?containerd-shim-(?P<program>.+)-v\d+",
        runtime_type,
    )
    shim = (found["name"] or found["program"]) if found else ""
    return "own" if _OWN_SETTINGS.fullmatch(shim) else "unrecognised"


def unrecognised(runtime_type: str | None) -> str:
    """Why a handler's cgroup driver cannot be told, and what to do, of one of that :data:`Kind`.

    + runtime_type: as it is stated, None when it is not
    """
    if not runtime_type:
        return "no runtime_type is stated, and so nobody can tell its cgroup driver"
    if re.fullmatch(r"/(.*/)?containerd-shim-runc-v\d+", runtime_type):
        return (
            f"runtime_type {runtime_type} is a path, and containerd hands runc's options to "
            f"{DEFAULT_TYPE} only: write that (BinaryName in its options names another runc)"
        )
    return (
        f"nobody can tell which cgroup driver the runtime_type {runtime_type} uses: state "
        f"{DRIVER} in its options if it is like runc's"
    )
