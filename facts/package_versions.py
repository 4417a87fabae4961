"""Which versions of packages are installed on a host, and which can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from kubenode.facts import candidates, image_based, left_alone, packages, platform
from kubenode.facts.candidates import CandidatesShape
from kubenode.facts.image_based import SystemShape
from kubenode.facts.left_alone import LeftAloneShape
from kubenode.facts.packages import PackagesShape
from kubenode.packages.source import check_package
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import ProbeError, Readings

PROBE = "package_versions"


class PackageVersionsShape(TypedDict):
    """What :class:`PackageVersions` returns."""

    package_manager: str | None
    """``apt-get``, ``dnf`` or ``zypper``, None when the host has none of them."""
    installed: PackagesShape
    candidates: CandidatesShape | None
    """None where the package manager does not say it."""
    why_no_candidates: str | None
    """Its words for that."""
    left_alone: LeftAloneShape
    system: SystemShape


class PackageVersions(ProbeFact[PackageVersionsShape]):
    """
    Returns which versions of packages are installed, and which can be
    (:class:`PackageVersionsShape`).

    + packages: their names

    .. code:: python

        {
            "package_manager": "apt-get",
            "installed": {
                "installed": [
                    {"name": "jq", "version": "1.7.1-6", "held": False, "configured": True},
                ],
                "dpkg_interrupted": False,
                "dpkg_at_work": None,
            },
            "candidates": {"packages": {"jq": [...]}, "preferred": {...}, "fetched": True},
            "why_no_candidates": None,
            "left_alone": {
                "files": {"/etc/apt/apt.conf.d/52kubenode-jq.conf": "..."},
                "services": {"jq": []},
                "apt": True,
                "needrestart": False,
                "restarts": [],
            },
            "system": {"image": None, "usr": "writable"},
        }

    **Example:**

    .. code:: shell

        pyinfra INVENTORY fact kubenode.facts.package_versions.PackageVersions packages=jq
    """

    def command(self, packages: Sequence[str] | str) -> str:
        names = packages.split(",") if isinstance(packages, str) else list(packages)
        try:
            for name in names:
                check_package(name)
        except ValueError as error:
            return self.refused(str(error))
        self._names = names
        return self.asking(
            {
                PROBE: script(names),
                candidates.PROBE: candidates.script(names),
                image_based.PROBE: image_based.script(),
                left_alone.PROBE: left_alone.script(names, names),
            }
        )

    def parse(self, readings: Readings) -> PackageVersionsShape:
        reading = readings[PROBE]
        manager = reading.value("package_manager")
        found: CandidatesShape | None = None
        why = None
        try:
            found = candidates.parse(readings[candidates.PROBE], self._names)
        except ProbeError as error:
            why = str(error)
        return {
            "package_manager": manager if manager in platform.PACKAGE_MANAGERS else None,
            "installed": packages.parse(reading, self._names),
            "candidates": found,
            "why_no_candidates": why,
            "left_alone": left_alone.parse(
                readings[left_alone.PROBE], self._names, self._names, []
            ),
            "system": image_based.parse(readings[image_based.PROBE]),
        }


def script(names: Sequence[str]) -> probe.Script:
    """The probe's script: what is installed, and by which program more would be.

    + names: of the packages
    """
    which = host_script.read(
        __file__, "package_manager.sh", PACKAGE_MANAGERS=" ".join(platform.PACKAGE_MANAGERS)
    )
    return probe.Script(f"{which}\n{packages.shell(names)}")
