"""Packages of given names: what is installed of them, and whether they are held or half-done.

A part of the facts that look for a program and the package it came from.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import TypedDict

from kubenode.facts.runtime import PackageShape
from kubenode.packages import package_locks
from kubenode.run import host_script
from kubenode.wire.reading import Reading


class PackagesShape(TypedDict):
    """What :func:`parse` returns."""

    installed: list[PackageShape]
    dpkg_interrupted: bool
    """Whether dpkg was stopped at its work, on any package: apt refuses then. False while another
    process is at work: what is half-done then is being done."""
    dpkg_at_work: str | None
    """The process that has a lock of dpkg's or apt's, as ``PID NAME``."""


_LOCKS = {
    # NAME-EPOCH:VERSION... (dnf 4)
    "/etc/dnf/plugins/versionlock.list": r"(\d+:)?{}-(\d+:)?\d.*",
    "/etc/yum/pluginconf.d/versionlock.list": r"(\d+:)?{}-(\d+:)?\d.*",
    # name = "NAME" (dnf 5)
    "/etc/dnf/versionlock.toml": r'name\s*=\s*"{}"\s*',
    # solvable_name: NAME
    "/etc/zypp/locks": r"solvable_name:\s*{}\s*",
}


def shell(names: Sequence[str]) -> str:
    """What a probe's script runs to ask dpkg or rpm of packages.

    + names: of the packages
    """
    words = shlex.quote(" ".join(names))
    # rpm's exit code is how many of them are not installed
    known = " | ".join(map(str, range(len(names) + 1)))
    return f"{package_locks.HOLDER}\n" + host_script.read(
        __file__, "packages.sh", NAMES=words, KNOWN=known, LOCKS=" ".join(_LOCKS)
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
    packages: list[PackageShape] = []
    for line in reading.text("rpm"):
        name, _, version = line.partition(" ")
        if name in names and version:
            packages.append(
                {
                    "name": name,
                    "version": version,
                    "held": _is_locked(reading, name),
                    # a transaction of rpm that was interrupted leaves the old package
                    "configured": True,
                }
            )
    return packages


def _is_locked(reading: Reading, name: str) -> bool:
    return any(
        re.fullmatch(pattern.format(re.escape(name)), line.strip())
        for path, pattern in _LOCKS.items()
        for line in reading.text(path)
    )
