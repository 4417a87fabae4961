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

DIRECTORY = "/run/kubenode"
WAIT_SECONDS = 300
"""How long a run waits for another one: a swap restarts containerd and waits for CRI, twice."""

_LINE = 1000
"""Characters of a line of standard input: a terminal (sudo's requiretty) takes 4095 at most."""

HEAD = r"""
LC_ALL=C; export LC_ALL
PATH="${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"; export PATH
# not root's umask, nor sudo's umask_override
umask 022
nl='
'
say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
"""

FUNCTIONS = r"""
needs() {
  for program; do
    command -v "$program" >/dev/null || fail "$program is missing on this host: nothing was changed"
  done
}
# receive: the next content of standard input, base64 with a dot behind it, becomes $received. It
# does not come as an argument: arguments are short, and every user of the host can read them.
receive() {
  received=
  while IFS= read -r line; do
    case $line in .) return 0;; esac
    received=$received$line
  done
  fail 'what was sent did not arrive whole: nothing was changed'
}
# started PID: when it was, in the kernel's ticks since the boot, which tells it from a later one
started() {
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  set -- ${stat##*)}
  shift 19
  printf '%s\n' "$1"
}
# is_stale LOCK: whether the process that made it has ended
is_stale() {
  { read -r its_boot its_pid its_start <"$1"; } 2>/dev/null || return 1
  [ "$its_boot" != "$boot" ] || [ "$(started "$its_pid")" != "$its_start" ]
}
# Only one at a time takes over what nobody holds: a second one could remove the first one's lock.
take_over() {
  if ln "$locks/run.$$" "$locks/takeover" 2>/dev/null; then
    if is_stale "$locks/held"; then rm -f "$locks/held"; fi
    for other in "$locks"/run.*; do
      if is_stale "$other"; then rm -f "$other"; fi
    done
    rm -f "$locks/takeover"
  elif is_stale "$locks/takeover"; then rm -f "$locks/takeover"
  else sleep 1; fi
}
wait_for_lock() {
  owner=; { read -r owner <"$locks/owner"; } 2>/dev/null
  [ "$waited" -gt 0 ] || say "waits for another run on this host: ${owner:-unknown}"
  [ "$waited" -lt "$1" ] ||
    fail "another run has changed this host for $1 s (${owner:-unknown}): nothing was changed," \
      "run again when it has ended"
  sleep 1
  waited=$((waited + 1))
}
# take_lock OWNER SECONDS
take_lock() {
  trap ended EXIT
  trap 'exit 143' INT TERM
  mkdir -m 0700 "$locks" 2>/dev/null
  set -- "$1" "$2" $(ls -ldn "$locks" 2>/dev/null)
  case ${3-}:${5-} in
    drwx------*:"$(id -u)") ;;
    *) fail "$locks is not a directory for root alone (mode 0700): run as root, or remove it";;
  esac
  waited=0
  if command -v flock >/dev/null; then
    exec 9>>"$locks/lock"
    until flock -n 9; do wait_for_lock "$2"; done
  else
    boot=; { read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
    printf '%s\n' "${boot:=unknown} $$ $(started $$)" >"$locks/run.$$"
    until ln "$locks/run.$$" "$locks/held" 2>/dev/null; do
      if is_stale "$locks/held"; then take_over; else wait_for_lock "$2"; fi
    done
    has_link=yes
  fi
  printf '%s\n' "$1 since $(date -u +%Y-%m-%dT%H:%M:%SZ), pid $$" >"$locks/owner"
  # A connection that breaks must not stop what follows half-way.
  trap '' HUP PIPE
}
staged=; has_link=
ended() {
  status=$?
  IFS=$nl; set -f
  [ -z "$staged" ] || rm -f -- $staged
  if [ "$has_link" ]; then rm -f "$locks/held"; fi
  rm -f "$locks/run.$$"
  exit "$status"
}
"""
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
