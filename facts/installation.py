"""What else comes and goes when packages are installed, as apt works it out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import TypedDict

from kubenode.packages.source import check_package
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import ProbeError, Reading, Readings

PROBE = "installation"


class InstallationShape(TypedDict):
    """What :class:`Installation` returns."""

    installs: dict[str, str]
    """Versions of what comes, by name."""
    now: dict[str, str]
    """Versions of what is installed of these now, by name."""
    removes: dict[str, str]
    """Versions of what goes for it, by name."""
    error: str | None
    """Why it cannot be installed, in apt's words."""


def script(pinned: Sequence[str]) -> probe.Script:
    """The probe's script.

    + pinned: packages with their versions, such as ``containerd.io=2.1.9-1``
    """
    words = " ".join(map(shlex.quote, pinned))
    return probe.Script(
        host_script.read(__file__, "installation.sh", PACKAGES=words),
        at_times=("apt-get",),
        answers=("simulation_status", "simulation"),
    )


def parse(reading: Reading) -> InstallationShape:
    """The shape from what the host sent."""
    lines = reading.text("simulation")
    status = reading.value("simulation_status")
    if status not in ("0", "1"):
        raise ProbeError("apt-get does not say what it would do")
    shape: InstallationShape = {"installs": {}, "now": {}, "removes": {}, "error": None}
    if status == "1":
        words = [line for line in lines if re.match(r" [^ ]+ : |  +[A-Z]\w+: |E: ", line)]
        shape["error"] = "; ".join(" ".join(line.split()) for line in words[:20]) or "it fails"
        return shape
    for line in lines:
        if match := re.match(r"Inst (\S+) (?:\[(\S+)\] )?\((\S+) ", line):
            shape["installs"][match[1]] = match[3]
            if match[2]:
                shape["now"][match[1]] = match[2]
        elif match := re.match(r"Remv (\S+) \[(\S+)\]", line):
            shape["removes"][match[1]] = match[2]
    return shape


class Installation(ProbeFact[InstallationShape]):
    """
    Returns what else comes and goes when packages are installed (:class:`InstallationShape`);
    nothing is changed. None on a host without apt.

    + packages: with their versions where they are to be exact, such as ``containerd.io=2.1.9-1``

    .. code:: python

        {
            "installs": {"containerd.io": "2.1.9-1~debian.13~trixie"},
            "now": {},
            "removes": {"containerd": "1.7.24~ds1-6+deb13u1", "runc": "1.1.15+ds1-2+b4"},
            "error": None,
        }

    **Example:**

    .. code:: shell

        pyinfra INVENTORY fact kubenode.facts.installation.Installation packages=containerd.io
    """

    def command(self, packages: Sequence[str] | str) -> str:
        pinned = packages.split(",") if isinstance(packages, str) else list(packages)
        for each in pinned:
            name, _, version = each.partition("=")
            try:
                check_package(name)
            except ValueError as error:
                return self.refused(str(error))
            if not re.fullmatch(r"[A-Za-z0-9.+~:-]*", version):
                return self.refused(f"{version!r} is no version")
        return self.asking({PROBE: script(pinned)})

    def parse(self, readings: Readings) -> InstallationShape:
        return parse(readings[PROBE])
