"""pyinfra as its user runs it: a command line, and what comes out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.soak import loops
from tests.targets import forked

_SECONDS = 600


@dataclass(frozen=True)
class Result:
    """A finished run of pyinfra."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both streams: pyinfra logs to standard error and prints data to standard output."""
        return self.stdout + self.stderr

    def json(self) -> Any:
        """Standard output of a run with ``--json``."""
        return json.loads(self.stdout)


def run(
    *arguments: str | Path,
    cwd: Path,
    data: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Result:
    """Run pyinfra with this interpreter; nobody is there to answer its questions.

    + arguments: such as ``"-y", inventory, "deploy.py"``
    + cwd: the working directory; pyinfra looks for ``group_data`` there
    + data: for ``--data``
    + environment: further variables
    """
    overrides = [f"--data={key}={value}" for key, value in (data or {}).items()]
    variables = {"COLUMNS": "200", **(environment or {})}
    return started("pyinfra", [*overrides, *arguments], cwd, variables, _SECONDS)


def started(
    program: str,
    arguments: Sequence[str | Path],
    cwd: Path,
    variables: Mapping[str, str],
    seconds: float,
) -> Result:
    """Run ``python -m PROGRAM``: by a fork, and by ``make soak`` in an interpreter of its own.

    + program: ``pyinfra`` or ``kubenode``
    + arguments: its command line
    + cwd: its working directory
    + variables: of its environment, beside those of this process
    + seconds: how long it may take
    """
    words = list(map(str, arguments))
    environment = {**os.environ, "NO_COLOR": "1", **variables}
    if not loops.is_soak():
        return Result(*forked.run(program, words, cwd, environment, seconds))
    finished = subprocess.run(
        [sys.executable, "-m", program, *words],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    return Result(finished.returncode, finished.stdout, finished.stderr)


def write_inventory(path: Path, hosts: Iterable[tuple[str, Mapping[str, Any]]]) -> Path:
    """Write an inventory file: *hosts* are names with their data; the path."""
    path.write_text(f"hosts = {[(name, dict(data)) for name, data in hosts]!r}\n")
    return path
