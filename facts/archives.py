"""Release archives on a host: what is unpacked and in use, and what decides which build runs."""

from __future__ import annotations

import re
import shlex
from typing import Literal, TypedDict

from kubenode.packages.archive import ARCHITECTURES
from kubenode.packages.archive_change import (
    PROGRAMS_IN,
    ROOT,
    RUNC_IN,
    STORE,
    SUMS,
    SUMS_END,
    UNIT,
    UNIT_FILE,
)
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "archives"

PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc")
"""Of a release, runc among them."""

_BUILD = re.compile(
    r"(?P<version>[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}(-(alpha|beta|rc)\.[0-9]{1,3})?)-[0-9a-f]{8}"
)
_LIBC_VERSION = re.compile(r"[0-9]{1,3}(\.[0-9]{1,4}){1,3}")

Libc = Literal["glibc", "musl"]


class BuildShape(TypedDict):
    """A release that is unpacked."""

    name: str
    """Of its directory."""
    version: str
    """containerd's."""
    programs: list[str]
    whole: bool | None
    """Whether each file of it is as it was unpacked; None where that cannot be told."""


class FoundShape(TypedDict):
    """A program in PATH."""

    path: str
    real: str
    """Where links lead."""


class ArchivesShape(TypedDict):
    """What :class:`Archives` returns."""

    architecture: str | None
    """As releases call it, ``amd64`` or ``arm64``; None for another one."""
    machine: str | None
    """As the kernel calls it, such as ``x86_64``."""
    libc: Libc | None
    """None: it cannot be told."""
    libc_version: str | None
    """glibc's, such as ``2.36``."""
    builds: list[BuildShape] | None
    """None: it cannot be told what is unpacked."""
    current: str | None
    """The name of the build that is in use, None for none."""
    links: dict[str, str | None]
    """The paths of programs that an archive's links take: where each leads by one step, ``file``
    for what is no link, None for nothing."""
    unit: Literal["kubenode", "other"] | None
    """Who wrote the unit of archives, None when there is none."""
    stored: list[str]
    """Sums of the files that wait to be unpacked; whether they are whole is not known."""
    found: dict[str, list[FoundShape]]
    """By program, all that PATH has of that name: the first is the one that is run."""
    fetchers: list[str]
    """``curl`` and ``wget``, what is there of them."""
    free_bytes: dict[str, int | None]
    """What is free for builds and for what waits, by path."""


LINKS = {
    "containerd": f"{PROGRAMS_IN}/containerd",
    "containerd-shim-runc-v2": f"{PROGRAMS_IN}/containerd-shim-runc-v2",
    "ctr": f"{PROGRAMS_IN}/ctr",
    "runc": f"{RUNC_IN}/runc",
}
"""By program, the link that leads to the build in use."""

_CURRENT = f"{ROOT}/current"


def _key(path: str) -> str:
    return f"link:{path}"


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(
        host_script.read(
            __file__,
            "archives.sh",
            LINKS=" ".join(LINKS.values()),
            PROGRAMS=" ".join(PROGRAMS),
            ROOT=ROOT,
            STORE=STORE,
            SUMS=SUMS,
            SUMS_END=shlex.quote(SUMS_END),
            UNIT_FILE=UNIT_FILE,
        ),
        programs=("uname",),
        answers=("machine", "musl", "glibc", "builds", *map(_key, (_CURRENT, *LINKS.values()))),
    )


def parse(reading: Reading) -> ArchivesShape:
    """The shape from what the host sent."""
    machine = reading.value("machine") or None
    libc, libc_version = _libc(reading)
    unit = reading.value("unit") or None
    return {
        "architecture": ARCHITECTURES.get(machine or ""),
        "machine": machine,
        "libc": libc,
        "libc_version": libc_version,
        "builds": None if "builds" in reading.unreadable else _builds(reading),
        "current": _leads(reading, _CURRENT),
        "links": {path: _leads(reading, path) for path in LINKS.values()},
        "unit": None if unit is None else "kubenode" if unit == UNIT.split("\n")[0] else "other",
        "stored": [line for line in reading.text("stored") if line],
        "found": {program: _found(reading, program) for program in PROGRAMS},
        "fetchers": [name for name in ("curl", "wget") if reading.value(f"fetcher:{name}")],
        "free_bytes": {path: _free(reading, path) for path in (ROOT, STORE)},
    }


def _libc(reading: Reading) -> tuple[Libc | None, str | None]:
    glibc = reading.value("glibc") or ""
    if _LIBC_VERSION.fullmatch(glibc):
        return "glibc", glibc
    # a host of glibc may have musl's loader too
    return ("musl", None) if reading.value("musl") and not glibc else (None, None)


def _builds(reading: Reading) -> list[BuildShape]:
    builds: list[BuildShape] = []
    for name in reading.text("builds"):
        found = _BUILD.fullmatch(name)
        if not found:
            continue
        path = f"{ROOT}/{name}/{SUMS}"
        lines = [line for line in reading.text(f"sums:{path}") if line]
        # sha256sum writes "SUM  NAME"
        programs = [line.partition("  ")[2] for line in lines[:-1]]
        whole: bool | None = reading.value(f"whole:{path}") == "yes" and lines[-1:] == [SUMS_END]
        if not {"containerd", "containerd-shim-runc-v2", "ctr"} <= {*programs}:
            whole = False
        if f"whole:{path}" in reading.unreadable:
            whole = None
        builds.append(
            {
                "name": name,
                "version": found["version"],
                "programs": [program for program in PROGRAMS if program in programs],
                "whole": whole,
            }
        )
    return builds


def _leads(reading: Reading, path: str) -> str | None:
    # what leads where unknown would be replaced as if it led nowhere
    reading.known(_key(path))
    return "file" if reading.value(f"file:{path}") else reading.value(_key(path))


def _found(reading: Reading, program: str) -> list[FoundShape]:
    found: dict[str, FoundShape] = {}
    for line in reading.text(f"which:{program}"):
        path, blank, real = line.partition(" ")
        # /bin is /usr/bin on most hosts
        if blank:
            found.setdefault(real, {"path": path, "real": real})
    return list(found.values())


def _free(reading: Reading, path: str) -> int | None:
    kibibytes = reading.value(f"free:{path}") or ""
    return int(kibibytes) * 1024 if re.fullmatch("[0-9]{1,15}", kibibytes) else None


class Archives(ProbeFact[ArchivesShape]):
    """
    Returns what a host has of release archives, and what decides which build runs there
    (:class:`ArchivesShape`).

    .. code:: python

        {
            "architecture": "amd64",
            "machine": "x86_64",
            "libc": "glibc",
            "libc_version": "2.36",
            "builds": [
                {
                    "name": "2.3.4-5f1c09d2",
                    "version": "2.3.4",
                    "programs": ["containerd", "containerd-shim-runc-v2", "ctr", "runc"],
                    "whole": True,
                },
            ],
            "current": "2.3.4-5f1c09d2",
            "links": {
                "/usr/local/bin/ctr": "/usr/local/lib/kubenode/containerd/current/ctr",
                "/usr/local/sbin/runc": None,
            },
            "unit": "kubenode",
            "stored": [],
            "found": {
                "containerd": [
                    {
                        "path": "/usr/local/bin/containerd",
                        "real": "/usr/local/lib/kubenode/containerd/2.3.4-5f1c09d2/containerd",
                    },
                ],
            },
            "fetchers": ["curl"],
            "free_bytes": {"/usr/local/lib/kubenode/containerd": 52428800000},
        }

    It works out the sums of what is unpacked: half a second for a release.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.archives.Archives
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: Readings) -> ArchivesShape:
        return parse(readings[PROBE])
