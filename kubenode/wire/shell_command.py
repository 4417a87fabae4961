"""A script as one line that every login shell passes on unchanged.

What pyinfra runs on a host goes through the user's login shell, as ``sh -c '...'``. fish takes a
backslash in these quotes for its own, tcsh takes ``!`` for its history and ends at a line end, and
each writes a quote within quotes in another way. So a script travels as base64, in a line that has
none of these characters.
"""

from __future__ import annotations

import base64
from typing import Any

from pyinfra.api import StringCommand

_WHOLE = "#whole"

_MOST = 112 * 1024
"""Characters of a line: an argument of execve(2) has 128 KiB, also for what sudo and su add."""

_WIDTH = 1000
"""Of a line of standard input: a terminal (sudo's requiretty) takes 4095 at most."""

_END = "-"
_FROM_STDIN = (
    f'while IFS= read -r line && case $line in ({_END}) false;; esac; do printf %s "$line"; done'
)


def portable(script: str) -> str:
    """*script* as one line of POSIX sh, for pyinfra to run.

    + script: POSIX sh, of any length that an argument of execve(2) can have (96 KiB)

    The line has letters, digits, blanks and such signs only as bash, zsh, dash, fish and tcsh pass
    on between single quotes. The script's standard input, exit code and positional parameters are
    those of the line. ``POSIXLY_CORRECT``, which changes what programs do, is not set for it, and
    PATH has ``/usr/bin`` and ``/bin`` at its end.

    Where ``base64`` is missing on the host, or where the line arrives changed, the script is not
    run: the command says so on standard error, and ends with 127 or 126.

    **Example:**

    .. code:: python

        yield StringCommand(shell_command.portable(script))
    """
    return _line(f"printf %s {_encoded(script)}")


def _encoded(script: str) -> str:
    whole = f"{script}\n{_WHOLE}".encode("utf-8", "surrogateescape")
    return base64.b64encode(whole).decode()


def _line(print_encoded: str) -> str:
    return (
        'unset POSIXLY_CORRECT; PATH="${PATH:+$PATH:}/usr/bin:/bin"; export PATH; '
        # another one in PATH may be somebody else's
        f'script=$({print_encoded} | PATH="/usr/bin:/bin:$PATH" base64 -d); '
        f'case $script in *"{_WHOLE}") eval "$script";; '
        "*) if command -v base64 >/dev/null; "
        'then echo "the login shell did not pass on the whole command" >&2; exit 126; '
        'else echo "base64 is missing on the host" >&2; exit 127; fi;; esac'
    )


def portable_command(command: StringCommand) -> StringCommand:
    """The command as one such line; what it reads from standard input stays what it reads.

    + command: POSIX sh of any length, such as an operation of kubenode's or of pyinfra's yields;
      one that is too long for an argument comes on standard input, before what it reads there

    **Example:**

    .. code:: python

        yield shell_command.portable_command(StringCommand("modprobe -a overlay"))
    """
    script = command.get_raw_value()
    arguments: Any = dict(command.connector_arguments)
    line = portable(script)
    if len(line) > _MOST:
        line, encoded = _line(_FROM_STDIN), _encoded(script)
        own = arguments.get("_stdin") or []
        arguments["_stdin"] = [
            *(encoded[at : at + _WIDTH] for at in range(0, len(encoded), _WIDTH)),
            _END,
            *([own] if isinstance(own, str) else own),
        ]
    return StringCommand(line, **arguments)
