"""Why CRI-O would not start with its files, although they can be read."""

from __future__ import annotations

from kubenode.facts.crio import CrioShape, SettingShape
from kubenode.runtimes.crio.wanted import monitor_trouble


def monitor_troubles(crio: CrioShape) -> dict[str, tuple[SettingShape, str]]:
    """Handlers with whose monitors CRI-O does not start: the setting, and why.

    None where the driver that a restart would bring cannot be told.
    """
    driver = crio["after_restart"]
    if driver is None:
        return {}
    return {
        handler: (setting, problem)
        for handler, setting in crio["monitor_cgroups"].items()
        if (problem := monitor_trouble(setting["value"], driver))
    }
