"""A command of the demo, shown as it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_ROOT = Path(__file__).parent.parent.parent


def shown(command: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a Python module in the checkout and show its output as it comes.

    + command: such as ``["pyinfra", "-y", "inventories/docker.py", "deploy.py"]``
    + environment: further variables

    Returns the exit code and the output.
    """
    print(f"$ {' '.join(command)}", flush=True)
    lines = []
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=_ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return process.returncode, "".join(lines)


def has_changed(output: str) -> bool:
    """Whether a run of pyinfra says that it changed something."""
    return "Success" in output.partition("--> Results")[0]
