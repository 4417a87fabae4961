"""Hosts that are not there: a pyinfra connector with recorded answers, and a delay.

``@simulated/N`` in an inventory is N hosts. They answer as the hosts of ``tests/facts/node.Node``
did, in turn, each with its own machine-id and host name: as nodes that need no change. For what
thousands of hosts cost the controller, and what hosts cost that do not share its CPUs.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import gevent
from pyinfra.connectors.base import BaseConnector
from pyinfra.connectors.util import CommandOutput, OutputLine

from kubenode.wire.reading import checksum

DELAY_SECONDS = 0.05
"""Of a round trip, and so of connecting and of a command."""
READING_SECONDS = 0.15
"""How long a host takes to read what it is asked for, where it has a CPU to itself: measured on a
target alone, 0.11 s for ``prepare`` and 0.16 s for an audit."""

_RECORDED = Path(__file__).parent.parent / "tests" / "facts" / "node.Node"


@cache
def _answers() -> list[list[str]]:
    paths = [_RECORDED / f"prepared-{suite}.json" for suite in ("bookworm", "trixie", "forky")]
    return [json.loads(path.read_text())["output"] for path in paths]


def answer(index: int, name: str, command: str) -> list[str]:
    """What the host of this index and name says of itself when it is asked by *command*."""
    machine_id = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    lines = list(_answers()[index % len(_answers())])
    own = {
        "/etc/machine-id": f"{machine_id}\n".encode(),
        "/etc/hostname": f"{name}\n".encode(),
    }
    at = lines.index("%files") + 1
    end = lines.index("%bytes")
    lines[at:end], lines[end + 1] = _with(lines[at:end], lines[end + 1], own)
    for number, line in enumerate(lines):
        if line.startswith("|/proc/sys/kernel/hostname:"):
            lines[number] = f"|/proc/sys/kernel/hostname:{name}"
        elif line.startswith("%value mac:"):
            pairs = re.findall("..", machine_id[:10])
            lines[number] = f"{line.rpartition(' ')[0]} 02:{':'.join(pairs)}"
    text = "\n".join(lines)
    return ["", f"%answer {_identity(command)} {checksum(text)} {len(text)}", *lines]


@cache
def _identity(command: str) -> str:
    """What the answer to a command of a fact is known by (:mod:`kubenode.wire.shell_command`)."""
    script = base64.b64decode(command.partition("printf %s ")[2].partition(" ")[0]).decode()
    return script.partition("%answer ")[2].partition(" ")[0]


def _with(sizes: list[str], encoded: str, own: dict[str, bytes]) -> tuple[list[str], str]:
    """The files a host sends (``%files`` of :mod:`kubenode.wire.probe`), some of them its own."""
    left = base64.b64decode(encoded[1:])
    contents = {}
    for line in sizes:
        size, _, path = line[1:].partition(" ")
        contents[path], left = left[: int(size)], left[int(size) :]
    contents |= own
    return (
        [f"|{len(content)} {path}" for path, content in contents.items()],
        f"|{base64.b64encode(b''.join(contents.values())).decode()}",
    )


class SimulatedConnector(BaseConnector):
    """Waits, and gives the recorded answer to any command but ``true``."""

    handles_execution = True

    @staticmethod
    def make_names_data(name: str) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        width = len(name)
        for index in range(int(name)):
            yield f"simulated-{index:0{width}d}", {"simulated_index": index}, []

    def connect(self) -> None:
        gevent.sleep(DELAY_SECONDS)

    def run_shell_command(
        self, command: Any, print_output: bool = False, print_input: bool = False, **arguments: Any
    ) -> tuple[bool, CommandOutput]:
        gevent.sleep(DELAY_SECONDS)
        if str(command) == "true":
            return True, CommandOutput([])
        gevent.sleep(READING_SECONDS)
        lines = answer(self.host.data.simulated_index, self.host.name, str(command))
        return True, CommandOutput([OutputLine("stdout", line) for line in lines])

    def put_file(self, *arguments: Any, **keywords: Any) -> NoReturn:
        raise NotImplementedError

    def get_file(self, *arguments: Any, **keywords: Any) -> NoReturn:
        raise NotImplementedError
