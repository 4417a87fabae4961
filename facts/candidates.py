"""Which versions of packages a host's lists have, and from which source."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import TypedDict

from kubenode.facts import candidates_of_rpm
from kubenode.packages import repository_proof
from kubenode.packages.source import check_name, check_package
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import ProbeError, Reading, Readings

PROBE = "candidates"

_MOST_VERSIONS = 1000


class CandidateShape(TypedDict):
    """A version that can be had."""

    version: str
    """As the package manager calls it, with its epoch where it has one."""
    origin: str
    """Where from: URL, suite and component: ``http://mirror.example.org/debian trixie/main``. Of
    dnf the repository's id, of zypper its name. A version that several sources have is there for
    each of them."""


class CandidatesShape(TypedDict):
    """What :class:`Candidates` returns."""

    packages: dict[str, list[CandidateShape]]
    """By name, the newest first in the package manager's own order; none of a package that no list
    has."""
    preferred: dict[str, str | None]
    """What the package manager would install by itself: pins count (apt_preferences(5)). None where
    it would install nothing, and of dnf and zypper, which are not asked that."""
    fetched: bool
    """Whether the host has lists at all; without them no package can be had."""


def shell(names: Sequence[str], staged: str | None = None) -> str:
    """What a probe's script runs to ask apt, dnf or zypper of packages.

    + names: of the packages
    + staged: name of a repository that is being proven, of which alone is asked; None is all that
      the host has
    """
    folder = repository_proof.staged(staged) if staged else ""
    return host_script.read(
        __file__,
        "candidates.sh",
        NAMES=shlex.quote(" ".join(names)),
        STAGED=shlex.quote(folder),
    )


def script(names: Sequence[str], staged: str | None = None) -> probe.Script:
    """The probe's script; arguments as of :func:`shell`."""
    return probe.Script(shell(names, staged), answers=("candidates_of",))


def parse(reading: Reading, names: Sequence[str]) -> CandidatesShape:
    """The shape from what the host sent to :func:`shell`.

    + reading: of the probe
    + names: of the packages

    ProbeError where the host's package manager does not say it.
    """
    by = reading.value("candidates_of")
    if by in candidates_of_rpm.MANAGERS:
        return {
            "packages": {
                name: [{"version": version, "origin": origin} for version, origin in found]
                for name, found in candidates_of_rpm.parse(reading, by, names).items()
            },
            "preferred": dict.fromkeys(names),
            "fetched": reading.value("lists_fetched") == "yes",
        }
    if by != "apt-get":
        raise ProbeError(
            "dnf says to root alone which versions there are"
            if by == "user"
            else "no package manager says which versions there are"
        )
    lines = reading.text("candidates")
    if reading.value("candidates_status") != "0":
        said = "; ".join(line for line in lines if line.startswith("E:")) or "no answer"
        raise ProbeError(f"apt does not say which versions there are: {said[:500]}")
    found: dict[str, list[CandidateShape]] = {name: [] for name in names}
    preferred: dict[str, str | None] = dict.fromkeys(names)
    name, version = "", ""
    for line in lines:
        if re.fullmatch(r"[^\s:]+:", line):
            name, version = line.removesuffix(":"), ""
        elif name not in found:
            continue
        elif match := re.fullmatch(r"  Candidate: (\S+)", line):
            preferred[name] = None if match[1] == "(none)" else match[1]
        elif match := re.fullmatch(r" (?:\*\*\*|   ) (\S+)(?: -?\d+)?(?: \(phased \d+%\))?", line):
            version = match[1]
        # what is installed is a version too, and none that can be had
        # a folder of the host's own is file:/, and no list's
        elif match := re.fullmatch(r" {6,}-?\d+ ([a-z][a-z0-9+.-]*:.+)", line):
            origin = re.sub(r" \S+ Packages$", "", match[1])
            if version and len(found[name]) < _MOST_VERSIONS:
                found[name].append({"version": version, "origin": origin})
    return {
        "packages": found,
        "preferred": preferred,
        "fetched": reading.value("lists_fetched") == "yes",
    }


class Candidates(ProbeFact[CandidatesShape]):
    """
    Returns which versions of packages a host's lists have (:class:`CandidatesShape`). Nothing is
    fetched, and no cache is written; dnf writes into its logs that it was asked.

    + packages: their names
    + staged: name of a repository that is being proven (:mod:`kubenode.packages.repository_proof`),
      of which alone is asked; None asks all that the host has

    None where no package manager says it: dnf says it to root alone.

    .. code:: python

        {
            "packages": {
                "containerd.io": [
                    {
                        "version": "2.1.9-1~debian.13~trixie",
                        "origin": "https://download.docker.com/linux/debian trixie/stable",
                    },
                ],
            },
            "preferred": {"containerd.io": "2.1.9-1~debian.13~trixie"},
            "fetched": True,
        }

    **Example:**

    .. code:: shell

        pyinfra INVENTORY fact kubenode.facts.candidates.Candidates packages=runc,crun
    """

    def command(self, packages: Sequence[str] | str, staged: str | None = None) -> str:
        names = packages.split(",") if isinstance(packages, str) else list(packages)
        try:
            for name in names:
                check_package(name)
            if staged is not None:
                check_name(staged)
        except ValueError as error:
            return self.refused(str(error))
        self._names = names
        return self.asking({PROBE: script(names, staged)})

    def parse(self, readings: Readings) -> CandidatesShape:
        return parse(readings[PROBE], self._names)
