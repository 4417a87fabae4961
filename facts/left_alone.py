"""What unattended-upgrades and needrestart are told to leave alone: a part of packages' facts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypedDict

from kubenode.files.exact_text import bytes_of, text_of
from kubenode.packages import left_alone
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.reading import ProbeError, Reading

PROBE = "left-alone"


class LeftAloneShape(TypedDict):
    """What :func:`parse` returns."""

    files: dict[str, str]
    """Content of kubenode's files that are there, by path, see :mod:`kubenode.packages.left_alone`;
    bytes that are no UTF-8 as lone surrogates (PEP 383)."""
    services: dict[str, list[str]]
    """Units that each package has, as dpkg says; none of one that is not installed."""
    apt: bool
    """Whether this host has apt; one that has not needs none of this."""
    needrestart: bool
    """Whether it is installed."""
    restarts: list[str] | None
    """Units of the asked-for services that its files do not keep it from restarting; None where
    they cannot be read."""


def script(names: Sequence[str], packages: Sequence[str] = ()) -> probe.Script:
    """The probe's script.

    + names: in the files' names
    + packages: those whose services are asked for
    """
    return probe.Script(
        host_script.read(__file__, "left_alone.sh", PACKAGES=" ".join(packages) or "''"),
        files=(*map(left_alone.apt_file, names), left_alone.NEEDRESTART_MAIN),
        directories=(left_alone.NEEDRESTART,),
        answers=("apt", "needrestart"),
    )


def parse(
    reading: Reading, names: Sequence[str], packages: Sequence[str], services: Sequence[str]
) -> LeftAloneShape:
    """The shape from what the host sent; ProbeError where a file of kubenode's cannot be read.

    + reading: of the probe
    + names: in the files' names
    + packages: those whose services are asked for
    + services: units of which is asked whether needrestart would restart them
    """
    own = [path for name in names for path in _paths(name)]
    reading.known(*own)
    confs = [
        left_alone.NEEDRESTART_MAIN,
        *sorted(path for path in reading.exact if path.startswith(f"{left_alone.NEEDRESTART}/")),
    ]
    unreadable = {left_alone.NEEDRESTART, left_alone.NEEDRESTART_MAIN} & reading.unreadable
    unreadable |= {p for p in reading.unreadable if p.startswith(f"{left_alone.NEEDRESTART}/")}
    texts = [text_of(reading.exact[path]) for path in confs if path in reading.exact]
    return {
        "files": {path: text_of(reading.exact[path]) for path in own if path in reading.exact},
        "services": {name: _services(reading, name) for name in packages},
        "apt": reading.value("apt") == "yes",
        "needrestart": reading.value("needrestart") == "yes",
        "restarts": None
        if unreadable
        else [name for name in services if not left_alone.is_spared(name, texts)],
    }


def contents(shape: LeftAloneShape) -> Mapping[str, bytes]:
    """The bytes of the files that are there, by path.

    + shape: as :func:`parse` gives it
    """
    return {path: bytes_of(text) for path, text in shape["files"].items()}


def _paths(name: str) -> tuple[str, str]:
    return left_alone.apt_file(name), left_alone.needrestart_file(name)


def _services(reading: Reading, package: str) -> list[str]:
    found: list[str] = []
    for path, lines in reading.texts.items():
        # of a package that is installed for one architecture, or in a copy of each
        if re.fullmatch(rf"/var/lib/dpkg/info/{re.escape(package)}(:[a-z0-9-]+)?\.list", path):
            if path in reading.unreadable:
                raise ProbeError(f"cannot read {path} on the host")
            found += [line.rpartition("/")[2] for line in lines if line.endswith(".service")]
    return sorted(set(found))
