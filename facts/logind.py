"""How long systemd-logind lets a shutdown wait, now and after the next boot."""

from __future__ import annotations

import re
from typing import TypedDict

from kubenode.files.exact_text import text_of
from kubenode.linux import logind
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "logind"

_NEVER = 2**64 - 1


class DelayShape(TypedDict):
    """How long a shutdown may wait for those who ask for it."""

    seconds: float
    """``inf`` is for ever."""
    file: str | None
    """The file that states it, None for systemd's own default."""
    line: int | None
    text: str
    """The line."""


class LogindShape(TypedDict):
    """What :class:`Logind` returns."""

    runs: bool | None
    """Whether systemd-logind runs; None where systemd does not."""
    live: float | None
    """Seconds, as it says itself; None where it does not run or nobody can ask."""
    boot: DelayShape | None
    """What its files come to at the next boot; None where one of them cannot be read."""
    files: dict[str, str]
    """Content by path; bytes that are no UTF-8 as lone surrogates (PEP 383)."""
    unreadable: list[str]


def script() -> probe.Script:
    """The probe's script."""
    return probe.Script(
        host_script.read(__file__, "logind.sh", UNIT=logind.UNIT),
        files=logind.MAIN_FILES,
        directories=logind.DIRECTORIES,
        units=(logind.UNIT,),
        properties=("ActiveState",),
        at_times=("busctl",),
        answers=("runs",),
    )


def parse(reading: Reading) -> LogindShape:
    """The shape from what the host sent."""
    unit = reading.unit(logind.UNIT)
    files = {
        path: text_of(content)
        for path, content in reading.exact.items()
        if path in logind.MAIN_FILES or path.rpartition("/")[0] in logind.DIRECTORIES
    }
    # an empty one is sent as text: it hides another of its name
    for path in reading.texts:
        if path.rpartition("/")[0] in logind.DIRECTORIES:
            files.setdefault(path, "\n".join(reading.text(path)))
    return {
        "runs": None if unit is None else reading.value("runs") == "yes",
        "live": _live(reading.value("delay")),
        "boot": None if (trouble := _unreadable(reading)) else _boot(files),
        "files": files,
        "unreadable": trouble,
    }


def _unreadable(reading: Reading) -> list[str]:
    wanted = (*logind.MAIN_FILES, *logind.DIRECTORIES)
    return sorted(
        path
        for path in reading.unreadable
        if path in wanted or path.rpartition("/")[0] in logind.DIRECTORIES
    )


def _live(said: str | None) -> float | None:
    found = re.fullmatch(r"t (\d{1,20})", said or "")
    if found is None:
        return None
    return logind.INFINITY if int(found[1]) == _NEVER else int(found[1]) / 1e6


def _boot(files: dict[str, str]) -> DelayShape:
    found = logind.delay(files, at_boot=True)
    if found is None:
        return {"seconds": logind.DEFAULT_SECONDS, "file": None, "line": None, "text": ""}
    return {
        "seconds": found.seconds,
        "file": found.file,
        "line": found.line,
        "text": found.text,
    }


class Logind(ProbeFact[LogindShape]):
    """
    Returns how long systemd-logind lets a shutdown wait (:class:`LogindShape`).

    .. code:: python

        {
            "runs": True,
            "live": 30.0,
            "boot": {
                "seconds": 30.0,
                "file": "/usr/lib/systemd/logind.conf.d/unattended-upgrades-logind-maxdelay.conf",
                "line": 3,
                "text": "InhibitDelayMaxSec=30",
            },
            "files": {"/etc/systemd/logind.conf": "[Login]\\n"},
            "unreadable": [],
        }

    kubelet's graceful node shutdown is such a wait.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.logind.Logind
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: Readings) -> LogindShape:
        return parse(readings[PROBE])
