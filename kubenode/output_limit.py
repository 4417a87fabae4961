"""A bound on what one host's answer may take of this machine's memory.

pyinfra collects all that a command prints before a fact sees any of it. Our commands cut their own
output on the host, but a host that means harm runs what it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any

from pyinfra.connectors import util

_PIECE = 64 * 1024


@contextmanager
def limited_output(most_bytes: int, most_lines: int) -> Iterator[None]:
    """While this is in force, pyinfra keeps at most so much of each stream of a command's output.

    + most_bytes: of one command's standard output, and of its standard error
    + most_lines: the same; pyinfra keeps an object for each

    What is beyond is read and thrown away, so that the command can end; a command that does not end
    is for the caller's time limit. What is not UTF-8 is replaced, and does not end the reading.
    """
    original = util.read_buffer

    def read_buffer(
        name: str,
        io: Any,
        output_queue: Queue[util.OutputLine],
        print_output: bool = False,
        print_func: Callable[[str], str] | None = None,
    ) -> None:
        kept = bytearray()
        # in pieces, as a line may have no end; and as bytes, as they may be no text
        while piece := io.read(_PIECE):
            data = piece.encode() if isinstance(piece, str) else piece
            kept += data[: max(most_bytes - len(kept), 0)]
        for line in kept.decode("utf-8", "replace").split("\n", most_lines)[:most_lines]:
            output_queue.put(util.OutputLine(name, line))

    util.read_buffer = read_buffer
    try:
        yield
    finally:
        util.read_buffer = original
