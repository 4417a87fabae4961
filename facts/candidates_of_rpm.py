"""What dnf and zypper say of the versions that can be had."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from kubenode.packages import rpm_version
from kubenode.wire.reading import ProbeError, Reading

MANAGERS = ("dnf", "zypper")

_MOST_VERSIONS = 1000

_OF_DNF = re.compile(r"(?P<name>\S+) (?P<version>\S+) (?P<arch>\S+) (?P<origin>\S.*)")
_OF_ZYPPER = re.compile(r"<solvable (?P<attributes>[^<>]*)/>")
_ATTRIBUTE = re.compile(r'([a-z]+)="([^"<>]*)"')
# [EPOCH:]VERSION-RELEASE; what else a host may send goes into no command
_VERSION = re.compile(r"(\d{1,10}:)?[A-Za-z0-9._+~^]{1,128}-[A-Za-z0-9._+~^]{1,128}", re.ASCII)


def parse(reading: Reading, manager: str, names: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Version and origin of what there is, by name, the newest first.

    + reading: of the probe
    + manager: ``dnf`` or ``zypper``
    + names: of the packages

    A package for another architecture than the host's is none. ProbeError where the package manager
    does not say it.
    """
    lines = reading.text("candidates")
    if reading.value("candidates_status") != "0":
        said = "; ".join(" ".join(line.split()) for line in lines[-20:] if "rror" in line)
        raise ProbeError(
            f"{manager} does not say which versions there are: {said[:500] or 'no answer'}"
        )
    architectures = ("noarch", reading.value("machine"))
    found: dict[str, dict[str, list[str]]] = {name: {} for name in names}
    count = 0
    for name, version, architecture, origin in (
        _of_zypper(lines) if manager == "zypper" else (_of_dnf(lines))
    ):
        if name in found and architecture in architectures and _VERSION.fullmatch(version):
            count += 1
            if count <= _MOST_VERSIONS:
                # nobody writes an epoch that need not be written
                found[name].setdefault(version.removeprefix("0:"), []).append(origin)
    return {
        name: [
            (version, origin)
            for version in rpm_version.newest_first(versions)
            for origin in versions[version]
        ]
        for name, versions in found.items()
    }


def _of_dnf(lines: Sequence[str]) -> Iterator[tuple[str, str, str, str]]:
    for line in lines:
        if match := _OF_DNF.fullmatch(line):
            yield match["name"], match["version"], match["arch"], match["origin"]


def _of_zypper(lines: Sequence[str]) -> Iterator[tuple[str, str, str, str]]:
    for line in lines:
        if match := _OF_ZYPPER.fullmatch(line.strip()):
            said = {key: html.unescape(text) for key, text in _ATTRIBUTE.findall(match[1])}
            if said.get("kind") == "package":
                yield (
                    said.get("name", ""),
                    said.get("edition", ""),
                    said.get("arch", ""),
                    said.get("repository", ""),
                )
