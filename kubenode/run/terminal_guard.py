"""All text of a run passes here on its way to the operator's terminal.

Much of what pyinfra prints has a host's text in it: what our operations say of a change, the lines
of a diff, the output of commands that failed. What a terminal would obey (escape sequences, other
control characters, bidi controls) is made visible here. pyinfra's own colours stay: they are signed
with a number that no host knows.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
from typing import Any

import click
from pyinfra import logger
from pyinfra.api.output import is_output_active, set_echo, set_formatter

from kubenode.run.printable import printable

# a terminal ignores a number that is no colour: a signature that is printed does no harm
_SIGNATURE = str(secrets.randbelow(9 * 10**17) + 10**17)
_SIGNED = re.compile(rf"\x1b\[([0-9;]*);{_SIGNATURE}m")
_PLACE = "\0"


def shown(text: str) -> str:
    """*text* as it may be printed: printable characters, line ends, and pyinfra's own colours.

    + text: a message of pyinfra or of an operation, with a host's text in it

    Colours count as pyinfra's own when :func:`style` made them.

    **Example:**

    .. code:: python

        shown("a\\x1b]0;title\\x07b")  # "a\\\\x1b]0;title\\\\x07b"
    """
    parts = _SIGNED.split(text)
    # every second part is the numbers of a colour
    return "".join(
        f"\x1b[{part}m" if index % 2 else "\n".join(map(printable, part.split("\n")))
        for index, part in enumerate(parts)
    )


def style(text: Any, *arguments: Any, **styles: Any) -> str:
    """What :func:`click.style` returns, with colours that :func:`shown` knows for pyinfra's."""
    before, _, after = click.style(_PLACE, *arguments, **styles).partition(_PLACE)
    return f"{_signed(before)}{text}{_signed(after)}"


def _signed(colours: str) -> str:
    unsigned = rf"(\x1b\[(?:(?!{_SIGNATURE})[0-9;])*)m"
    return re.sub(unsigned, rf"\1;{_SIGNATURE}m", colours)


def _echo(message: Any = None, **keywords: Any) -> None:
    click.echo(shown(message) if isinstance(message, str) else message, **keywords)


class _Filter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        # the command line's own messages, which are of no host, are styled by click itself
        if f"{os.sep}pyinfra_cli{os.sep}" in record.pathname:
            message = _signed(message)
        record.msg, record.args = shown(message), None
        return True


_FILTER = _Filter()


def install() -> None:
    """Send all that pyinfra logs and echoes through :func:`shown`; a second call changes nothing.

    Without its command line, pyinfra has no colours and echoes nothing.
    """
    logger.addFilter(_FILTER)
    if is_output_active():
        set_formatter(style)
        set_echo(_echo)
