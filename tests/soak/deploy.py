"""pyinfra while it runs: what it has said so far, and a signal at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.targets import pyinfra_cli

# longer than a run waits for another one that holds the host's lock
_END_SECONDS = 400


class Deploy:
    """A run of ``pyinfra -y`` that has been started; as a context manager it ends with it."""

    def __init__(
        self, folder: Path, deploy: Path, host: tuple[str, Mapping[str, Any]], name: str
    ) -> None:
        """Start it.

        + folder: where its inventory is written
        + deploy: the deploy's file
        + host: the host with its data
        + name: unique in the folder
        """
        inventory = pyinfra_cli.write_inventory(folder / f"{name}.py", [host])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pyinfra", "-y", str(inventory), str(deploy)],
            cwd=folder,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.output = ""
        self._said = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Deploy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()

    def until(self, words: str) -> bool:
        """Return once it has said some words; False when it ended without them."""
        with self._said:
            self._said.wait_for(lambda: words in self.output or self._ended, _END_SECONDS)
            return words in self.output

    def send(self, number: signal.Signals) -> bool:
        """Send it a signal; False when it has ended already."""
        if self._process.poll() is not None:
            return False
        self._process.send_signal(number)
        return True

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def end(self) -> int | None:
        """Wait for its end; the exit code, None when it does not end."""
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        # a child that the signal did not reach may hold the output open: it is not waited for
        self._reader.join(0.5)
        return code

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._said:
                self.output += line
                self._said.notify_all()
        with self._said:
            self._ended = True
            self._said.notify_all()


def pause(seconds: float, deploy: Deploy) -> None:
    """Wait, at most until a deploy has ended."""
    deadline = time.monotonic() + seconds
    while deploy.runs and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, 0.05))
