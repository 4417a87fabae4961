"""Packages of given names: what is installed of them, and whether they are held or half-done.

A part of the facts that look for a program and the package it came from.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import TypedDict, get_args

from kubenode.facts.runtime import PackageShape
from kubenode.packages import package_locks, rpm_locks
from kubenode.run import host_script
from kubenode.wire.reading import ProbeError, Reading


class PackagesShape(TypedDict):
    """What :func:`parse` returns."""

    installed: list[PackageShape]
    dpkg_interrupted: bool
    """Whether dpkg was stopped at its work, on any package: apt refuses then. False while another
    process is at work: what is half-done then is being done. Of rpm: whether it was stopped at one
    of these packages."""
    dpkg_at_work: str | None
    """The process that has a lock of dpkg's, apt's or rpm's, as ``PID NAME``."""


# the time tells which of two entries is the newer, and so which an interrupted rpm has put there
_QUERY = r"%{NAME} %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE} %{ARCH} %{INSTALLTIME}\n"


def shell(names: Sequence[str]) -> str:
    """What a probe's script runs to ask dpkg or rpm of packages.

    + names: of the packages
    """
    words = shlex.quote(" ".join(names))
    # rpm's exit code is how many of them are not installed
    known = " | ".join(map(str, range(len(names) + 1)))
    return f"{package_locks.HOLDER}\n" + host_script.read(
        __file__,
        "packages.sh",
        NAMES=words,
        KNOWN=known,
        QUERY=_QUERY,
        LOCKS=" ".join(rpm_locks.FILES),
    )


def parse(reading: Reading, names: Sequence[str]) -> PackagesShape:
    """The shape from what the host sent to :func:`shell`; ProbeError where it could not be asked.

    + reading: of the probe
    + names: of the packages
    """
    reading.known("package")
    installed = [*_dpkg(reading, names), *_rpm(reading, names)]
    at_work = reading.value("dpkg_at_work") or None
    return {
        "installed": installed,
        "dpkg_interrupted": at_work is None
        and (
            reading.value("dpkg_interrupted") == "yes"
            or not all(package["configured"] for package in installed)
        ),
        "dpkg_at_work": at_work,
    }


def _dpkg(reading: Reading, names: Sequence[str]) -> list[PackageShape]:
    packages: list[PackageShape] = []
    for line in reading.text("dpkg"):
        name, _, rest = line.partition(" ")
        version, _, status = rest.partition(" ")
        # dpkg-query's db:Status-Abbrev: what is wanted (h: held), then what is there (n: nothing,
        # c: configuration files only)
        if name in names and status[1:2] not in ("", "n", "c"):
            packages.append(
                {
                    "name": name,
                    "version": version,
                    "held": status.startswith("h"),
                    "configured": status[1:2] == "i",
                }
            )
    return packages


def _rpm(reading: Reading, names: Sequence[str]) -> list[PackageShape]:
    entries: dict[str, list[tuple[int, str, str]]] = {}
    for line in reading.text("rpm"):
        # "package NAME is not installed" has other words
        name, *words = line.split(" ")
        if name in names and len(words) == 3 and re.fullmatch(r"\d{1,18}", words[2], re.ASCII):
            entries.setdefault(name, []).append((int(words[2]), words[0], words[1]))
    if entries:
        reading.known(*rpm_locks.FILES)
    packages: list[PackageShape] = []
    for name, found in entries.items():
        _, version, architecture = max(found, key=lambda entry: entry[0])
        packages.append(
            {
                "name": name,
                "version": version,
                "held": _is_locked(reading, name, architecture),
                # rpm adds an entry before it removes the one that it replaces
                "configured": [each[2] for each in found].count(architecture) == 1,
            }
        )
    return packages


def _is_locked(reading: Reading, name: str, architecture: str) -> bool:
    said = reading.value("rpm_manager")
    manager = next((each for each in get_args(rpm_locks.RpmManager) if each == said), None)
    try:
        return rpm_locks.is_held(name, architecture, manager, reading.texts)
    except ValueError as error:
        raise ProbeError(str(error)) from error
