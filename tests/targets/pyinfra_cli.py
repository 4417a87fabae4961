"""pyinfra as its user runs it: a command line, and what comes out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    finished = subprocess.run(
        [sys.executable, "-m", "pyinfra", *overrides, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200", **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    return Result(finished.returncode, finished.stdout, finished.stderr)


def write_inventory(path: Path, hosts: Iterable[tuple[str, Mapping[str, Any]]]) -> Path:
    """Write an inventory file: *hosts* are names with their data; the path."""
    path.write_text(f"hosts = {[(name, dict(data)) for name, data in hosts]!r}\n")
    return path
