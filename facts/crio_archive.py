"""CRI-O of a release archive on a host: which build is in use, and whether it is whole."""

from __future__ import annotations

import re
from typing import TypedDict

from kubenode.packages.archive import ARCHITECTURES
from kubenode.run import host_script
from kubenode.runtimes.crio import archive
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "crio-archive"

_BUILD = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4}){2}(?:-(?:alpha|beta|rc)\.[0-9]{1,3})?-[0-9a-f]{8}")


class CrioArchiveShape(TypedDict):
    """What :class:`CrioArchive` returns."""

    architecture: str | None
    """As releases call it, ``amd64`` or ``arm64``; None for another one."""
    build: str | None
    """The one in use, such as ``1.36.3-0123abcd``; None: CRI-O is from no archive."""
    whole: bool | None
    """Whether it is as it was unpacked, with its links, unit and drop-in; None: it cannot be
    told."""


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(
        host_script.read(
            __file__,
            "crio_archive.sh",
            DROP_IN=archive.DROP_IN,
            PROGRAMS_IN=archive.PROGRAMS_IN,
            ROOT=archive.ROOT,
            SUMS=archive.SUMS,
            SUMS_END=f"'{archive.SUMS_END}'",
            UNIT_FILE=archive.UNIT_FILE,
        ),
        programs=("uname",),
        at_times=("sha256sum",),
        answers=("machine", "build"),
    )


def parse(reading: Reading) -> CrioArchiveShape:
    """The shape from what the host sent."""
    reading.known("build")
    build = reading.value("build") or ""
    return {
        "architecture": ARCHITECTURES.get(reading.value("machine") or ""),
        "build": build if _BUILD.fullmatch(build) else None,
        "whole": None if "whole" in reading.unreadable else reading.value("whole") == "yes",
    }


class CrioArchive(ProbeFact[CrioArchiveShape]):
    """
    Returns which build of CRI-O's release archives a host uses (:class:`CrioArchiveShape`).

    .. code:: python

        {"architecture": "amd64", "build": "1.36.3-0123abcd", "whole": True}

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.crio_archive.CrioArchive
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: Readings) -> CrioArchiveShape:
        return parse(readings[PROBE])
