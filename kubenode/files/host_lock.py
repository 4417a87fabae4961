"""The lock that a command which changes a host holds, and how such a command gets its contents.

Two controllers may work on one host, and one may be cut off while its command runs on. So what
changes a host does it in one command, alone: it waits for the lock, looks whether the files are
still those that the plan was made from, and only then changes them.

The lock lives in a directory of root's own, not in ``/run/lock``, which all may write on Debian.
``flock`` is used where it is: the kernel frees it when the last process of a run has ended. Where
it is missing, a hard link is the lock, since making one is atomic too: it names its owner's
process, start and boot, so that one which nobody holds any more is told apart and taken over.
"""

from __future__ import annotations

import base64
import getpass
import re
import shlex
import socket
from collections.abc import Iterator, Sequence
from functools import cache

from pyinfra.api import StringCommand

from kubenode.run import host_script

DIRECTORY = "/run/kubenode"
WAIT_SECONDS = 300
"""How long a run waits for another one: a swap restarts containerd and waits for CRI, twice."""

_LINE = 1000
"""Characters of a line of standard input: a terminal (sudo's requiretty) takes 4095 at most."""

HEAD = host_script.read(__file__, "changing_head.sh")

FUNCTIONS = host_script.read(__file__, "host_lock.sh")
"""What a command under the lock may call.

+ ``fail TEXT``: say why on standard error, and end; nothing stays staged
+ ``needs PROGRAM...``: fail before anything is changed when one is missing
+ ``$content_1``, ...: the contents that were sent, in base64
+ ``$staged``: files to remove at the end, a line each
"""


@cache
def owner() -> str:
    """Who holds the lock, for people who wait for it: ``kubenode run by USER@CONTROLLER``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return "kubenode run by " + re.sub(
        r"[^\w.@-]", "?", f"{user}@{socket.gethostname()}", flags=re.A
    )


def under_lock(script: str, contents: Sequence[bytes] = ()) -> StringCommand:
    """A command that runs *script* on the host while it alone holds the host's lock.

    + script: sh, which may call what :data:`FUNCTIONS` has
    + contents: travel on standard input, and are ``$content_1``, ``$content_2``, ... in base64

    Another run is waited for, at most WAIT_SECONDS; then the command fails with its owner's name
    and nothing is changed. A connection that breaks before the lock is held ends the command, and
    does not end it afterwards.

    Package managers are run without it: they have locks of their own, and the daemons that their
    scripts start would inherit this one.

    **Example:**

    .. code:: python

        yield host_lock.under_lock("modprobe -a overlay")
    """
    received = "".join(
        f"receive; content_{number}=$received\n" for number in range(1, len(contents) + 1)
    )
    text = (
        f"locks={shlex.quote(DIRECTORY)}\n{HEAD.strip()}\n{FUNCTIONS.strip()}\n{received}"
        f"take_lock {shlex.quote(owner())} {WAIT_SECONDS}\n{script.strip()}"
    )
    return as_command(text, [line for content in contents for line in _lines(content)])


def as_command(script: str, lines: Sequence[str] = ()) -> StringCommand:
    """What pyinfra runs: all of kubenode's own commands that change a host pass here.

    + script: sh
    + lines: for its standard input
    """
    return StringCommand(script, _stdin=list(lines)) if lines else StringCommand(script)


def _lines(content: bytes) -> Iterator[str]:
    encoded = base64.b64encode(content).decode()
    yield from (encoded[at : at + _LINE] for at in range(0, len(encoded), _LINE))
    yield "."
