"""How CRI-O shall be configured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubenode.runtimes.cni import check_directories
from kubenode.runtimes.crio.handlers import check_handlers
from kubenode.runtimes.wanted import Wanted

POD = "pod"
_SLICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,200}\.slice")


@dataclass(frozen=True)
class CrioWanted(Wanted):
    """What a node needs of CRI-O. None leaves what is there.

    **Example:**

    .. code:: python

        CrioWanted("systemd", pause_image="registry.k8s.io/pause:3.10.1")
    """

    monitor_cgroup: str | None = None
    """Where monitors (conmon) run: ``pod``, or a slice with the systemd driver. None with the
    cgroupfs driver is ``pod``."""
    default_runtime: str | None = None
    """The handler of pods that name none."""
    cni_bin_dirs: tuple[str, ...] | None = None
    """Directories of CNI plugins, the most important first."""
    handlers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Runtime handlers by name, see :mod:`kubenode.runtimes.crio.handlers`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_words("monitor_cgroup", "default_runtime")
        if self.cni_bin_dirs is not None:
            check_directories(self.cni_bin_dirs)
        check_handlers(self.handlers)
        where = self.monitor_cgroup
        if where is not None and (problem := monitor_trouble(where, self.cgroup_driver)):
            raise ValueError(f"monitor_cgroup {where!r}: {problem}")


def monitor_trouble(where: str, driver: str) -> str | None:
    """Why CRI-O does not start with its monitors there, None when it does.

    + where: ``monitor_cgroup`` or ``conmon_cgroup``
    + driver: ``systemd`` or ``cgroupfs``

    Source: ``TranslateMonitorFieldsForHandler`` in CRI-O's ``pkg/config``. The default,
    ``system.slice``, is taken for none with cgroupfs.
    """
    if where in ("", POD):
        return None
    if driver == "cgroupfs":
        return None if where == "system.slice" else "with the cgroupfs driver it is pod, or nothing"
    return None if _SLICE.fullmatch(where) else "it is pod or a systemd slice"
