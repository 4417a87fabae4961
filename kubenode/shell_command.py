"""A script as one line that every login shell passes on unchanged.

What pyinfra runs on a host goes through the user's login shell, as ``sh -c '...'``. fish takes a
backslash in these quotes for its own, tcsh takes ``!`` for its history and ends at a line end, and
each writes a quote within quotes in another way. So a script travels as base64, in a line that has
none of these characters.
"""

from __future__ import annotations

import base64

from pyinfra.api import StringCommand

_WHOLE = "#whole"


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
    encoded = base64.b64encode(f"{script}\n{_WHOLE}".encode("utf-8", "surrogateescape")).decode()
    return (
        'unset POSIXLY_CORRECT; PATH="${PATH:+$PATH:}/usr/bin:/bin"; export PATH; '
        # another one in PATH may be somebody else's
        f'script=$(printf %s {encoded} | PATH="/usr/bin:/bin:$PATH" base64 -d); '
        f'case $script in *"{_WHOLE}") eval "$script";; '
        "*) if command -v base64 >/dev/null; "
        'then echo "the login shell did not pass on the whole command" >&2; exit 126; '
        'else echo "base64 is missing on the host" >&2; exit 127; fi;; esac'
    )


def portable_command(command: StringCommand) -> StringCommand:
    """The command as one such line; what it reads from standard input stays what it reads.

    + command: POSIX sh, such as an operation of kubenode's or of pyinfra's yields

    **Example:**

    .. code:: python

        yield shell_command.portable_command(StringCommand("modprobe -a overlay"))
    """
    return StringCommand(portable(command.get_raw_value()), **command.connector_arguments)
