"""Whether a host has what runtime handlers need: shims, runtimes and their files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import TypedDict

from kubenode.facts.containerd import SHARED_PROGRAM, UNIT
from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "handler-needs"

_SYSTEMD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What systemd gives a service that states none, systemd.exec(5), and where hosts link the last
two to."""

_WORD = re.compile(r"[\w./@+-]{1,256}", re.ASCII)


class HandlerNeedsShape(TypedDict):
    """What :class:`HandlerNeeds` returns."""

    programs: dict[str, str | None]
    """Where containerd finds each, None where it does not. One that cannot be told is left out."""
    files: dict[str, bool]
    """Whether each is there. One that cannot be told is left out."""


def script(programs: Sequence[str], files: Sequence[str]) -> probe.Script:
    """The probe's script.

    + programs: names, or absolute paths
    + files: absolute paths
    """
    return probe.Script(
        host_script.read(
            __file__,
            "handler_needs.sh",
            SYSTEMD_PATH=_SYSTEMD_PATH,
            PROGRAMS=" ".join(map(shlex.quote, programs)),
            FILES=" ".join(map(shlex.quote, files)),
        ),
        units=(UNIT,),
        properties=("ExecStart", "MainPID"),
        shared=(SHARED_PROGRAM,),
    )


def parse(reading: Reading, programs: Sequence[str], files: Sequence[str]) -> HandlerNeedsShape:
    """The shape from what the host sent.

    + reading: of the probe
    + programs, files: those that were asked for
    """
    shape: HandlerNeedsShape = {"programs": {}, "files": {}}
    for name in programs:
        key = f"program:{name}"
        if found := reading.value(key):
            shape["programs"][name] = found
        elif key in reading.absent:
            shape["programs"][name] = None
    for path in files:
        key = f"file:{path}"
        if reading.value(key) == "yes" or key in reading.absent:
            shape["files"][path] = key not in reading.absent
    return shape


class HandlerNeeds(ProbeFact[HandlerNeedsShape]):
    """
    Returns whether a host has the programs and files that runtime handlers need
    (:class:`HandlerNeedsShape`).

    + programs: names, which are looked for as containerd looks for a shim, or absolute paths
    + files: absolute paths

    .. code:: python

        {
            "programs": {
                "containerd-shim-runsc-v1": "/usr/local/bin/containerd-shim-runsc-v1",
                "/usr/bin/nvidia-container-runtime": None,
            },
            "files": {"/etc/containerd/runsc.toml": True},
        }

    containerd looks in its own ``PATH``, which systemd gives it, and then beside itself.

    **Example:**

    .. code:: shell

        pyinfra INVENTORY fact kubenode.facts.handler_needs.HandlerNeeds programs=crun
    """

    def command(self, programs: Sequence[str] | str = (), files: Sequence[str] | str = ()) -> str:
        self._programs = programs.split(",") if isinstance(programs, str) else list(programs)
        self._files = files.split(",") if isinstance(files, str) else list(files)
        for each in (*self._programs, *self._files):
            if not _WORD.fullmatch(each):
                return self.refused(f"{each!r} is no name of a program, and no path")
        return self.asking({PROBE: script(self._programs, self._files)})

    def parse(self, readings: Readings) -> HandlerNeedsShape:
        return parse(readings[PROBE], self._programs, self._files)
