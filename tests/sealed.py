"""Recorded answers as the commands of today would print them.

A case has what a host said. The seal around it (:mod:`kubenode.wire.probe`) names the command, to
the letter, and is put there again, so that a case stays one when a script changes; what a script
has come to ask for since then, the case does not answer, and the fact takes it for unreadable.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from kubenode.wire import probe


def seal(scripts: Mapping[str, probe.Script], body: Sequence[str]) -> list[str]:
    """What a host prints whose answer to these scripts has the lines *body*.

    The checksum is that of the program that a host would ask.
    """
    text = "\n".join(body)
    checksum, size = _cksum(text)
    return ["", "", f"%answer {probe.identity(scripts)} {checksum} {size}", *body]


@cache
def _cksum(text: str) -> tuple[str, str]:
    said = subprocess.run(["cksum"], input=text.encode(), capture_output=True, check=True).stdout
    checksum, size = said.decode().split()
    return checksum, size


def unsealed(output: Sequence[str]) -> list[str]:
    """The answer in what a host has printed, to be recorded."""
    start = next(index for index, line in enumerate(output) if line.startswith("%answer "))
    body = list(output[start + 1 :])
    return body[:-1] if body and not body[-1] else body


def case(fact: Any, path: Path) -> dict[str, Any]:
    """A recorded case, with its output sealed for the command of this fact."""
    recorded: dict[str, Any] = json.loads(path.read_text())
    arguments = recorded["arg"]
    fact.command(**arguments) if isinstance(arguments, dict) else fact.command(*arguments)
    return {**recorded, "output": seal(fact.scripts, recorded["output"])}
