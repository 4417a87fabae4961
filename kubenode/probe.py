"""The wire format between a read-only shell script on a host and the code that reads its output.

A host is a stranger: a file on it may hold binary junk, terminal escapes or lines that look like
ours. So every line of foreign text travels with a ``|`` in front and cannot be taken for structure,
every byte outside printable ASCII becomes ``?`` (pyinfra decodes output as strict UTF-8 and loses
the rest of it on a bad byte), and a probe counts only when its closing line arrived.

What is on the wire, one item a line::

    %begin NAME             a probe's output starts
    %value KEY text         one short value
    %text KEY               lines of text follow, each behind "|"
    %exact KEY              bytes follow, base64, each line behind "|"
    %done                   ... and were read to the end
    %failed                 ... and were not: the item exists and could not be read
    %unreadable KEY         an item that exists, or may exist, and was not even opened
    %end NAME               the probe's output is complete

"Unreadable" is never "absent": an item that was not sent at all is absent, an item that could not
be read is in :attr:`Reading.unreadable`.

The script side is POSIX sh and uses only sed, tr, ls, find, and base64 for exact bytes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_SHELL_FUNCTIONS = r"""
LC_ALL=C; export LC_ALL
PATH="${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"; export PATH
nl='
'
unreadable() { printf '%%unreadable %s\n' "$1"; }
value() {
  case $2 in
    *"$nl"*) unreadable "$1";;
    *) printf '%%value %s %s\n' "$1" "$2";;
  esac
}
lines() { printf '%%text %s\n' "$1"; sed 's/^/|/'; printf '\n%%done\n'; }
said() {
  case $2 in
    *"$nl"*) printf '%s\n' "$2" | lines "$1";;
    *) printf '%%text %s\n|%s\n\n%%done\n' "$1" "$2";;
  esac
}
# A name that cannot be a key would be taken for another one: its directory counts as unreadable.
is_key() {
  case $1 in
    *[!\ -~]* | *' ') set -- "${1%%[!\ -~]*}"; unreadable "${1%/*}"; return 1;;
  esac
}
# What does not show itself is absent only when the kernel says so: a directory on the way to it,
# or to where a link leads, may be closed.
is_absent() {
  case $(ls -dL -- "$1" 2>&1) in
    *': No such file or directory' | *': Not a directory') return 0;;
  esac
  return 1
}
# Files in /proc and /sys have size 0 and are small. 2048 blocks are 1 MiB. What is known to be
# small is in $small, one path a line: to ask for each costs a process.
is_small() {
  case $1 in /proc/* | /sys/*) return 0;; esac
  case $nl$small$nl in *"$nl$1$nl"*) return 0;; esac
  [ -z "$(find -L "$1" -prune -size +2048)" ]
}
small=
readable_file() {
  is_key "$1" || return 1
  if [ -f "$1" ]; then
    is_small "$1" && return 0
    unreadable "$1"
  elif [ -c "$1" ]; then printf '%%text %s\n%%done\n' "$1"
  elif [ -e "$1" ] || ! is_absent "$1"; then unreadable "$1"
  elif [ -L "$1" ]; then printf '%%text %s\n%%done\n' "$1"; fi
  return 1
}
text() {
  readable_file "$1" || return 0
  printf '%%text %s\n' "$1"
  if sed 's/^/|/' "$1"; then printf '\n%%done\n'; else printf '\n%%failed\n'; fi
}
exact() {
  readable_file "$1" || return 0
  printf '%%exact %s\n|' "$1"
  if base64 -w0 "$1"; then printf '\n%%done\n'; else printf '\n%%failed\n'; fi
}
confs() {
  send=$1; shift
  for dir in "$@"; do
    case $dir in /lib/*) if [ -L /lib ]; then continue; fi;; esac
    if [ ! -d "$dir" ]; then
      is_absent "$dir" || unreadable "$dir"
      continue
    fi
    if [ ! -r "$dir" ] || [ ! -x "$dir" ]; then unreadable "$dir"; continue; fi
    set -- "$dir"/*.conf
    if [ $# -gt 1 ]; then small=$(find -L "$@" -prune -type f ! -size +2048); fi
    for path in "$@"; do
      if [ -d "$path" ] && [ ! -L "$path" ]; then continue; fi
      if [ -e "$path" ] || [ -L "$path" ]; then "$send" "$path"; fi
    done
  done
}
"""
"""What a probe's script may call.

+ ``value KEY TEXT``: send one short value
+ ``lines KEY``: send standard input as text
+ ``said KEY TEXT``: the same of a variable, cheaper where it is one line
+ ``unreadable KEY``: say that an item could not be read
+ ``text PATH``: send a file as text; nothing when there is no such file. A device (``/dev/null``)
  and a dangling link are empty text: both mask a drop-in of the same name. A file above 1 MiB, and
  one that may be there behind a directory that cannot be searched, are unreadable
+ ``exact PATH``: send a file's exact bytes
+ ``confs SEND DIR...``: send every ``*.conf`` of these directories with SEND, such as ``text``; no
  directories among them, and nothing below ``/lib`` where that is a link. A name outside printable
  ASCII makes its directory unreadable
"""

MOST_BYTES = 8 * 1024 * 1024
"""What a host may answer to one command; the rest is cut off on the host."""
MOST_LINES = 200_000

_FOREIGN = re.compile(r"[^\t\r\x20-\x7e]")

_KEY = re.compile(r"[!-~](?:[ -~]*[!-~])?")


class ProbeError(Exception):
    """A host's answer that is no answer: cut off, out of form, or without the probe asked for."""


@dataclass(frozen=True)
class Reading:
    """What one probe read on a host: values and texts by key, and what could not be read."""

    values: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, list[str]] = field(default_factory=dict)
    exact: Mapping[str, bytes] = field(default_factory=dict)
    unreadable: frozenset[str] = frozenset()

    def value(self, key: str) -> str | None:
        """The value sent for *key*, or None when there was none."""
        return self.values.get(key)

    def text(self, key: str) -> list[str]:
        """The lines sent for *key*, none when it was not sent."""
        return self.texts.get(key, [])

    def is_unreadable(self, path: str) -> bool:
        """Whether *path*, or the directory it would be in, exists and could not be read."""
        return path in self.unreadable or path.rpartition("/")[0] in self.unreadable


class Readings(dict[str, Reading]):
    """Readings by probe name; ProbeError for a probe that is not there."""

    def __missing__(self, name: str) -> Reading:
        raise ProbeError(f"the host's answer to {name} is cut off or out of form")


def command(scripts: Mapping[str, str]) -> str:
    """One shell command that runs several probes' scripts, each shut off from the others.

    + scripts: probe name to the sh script that reads for it, see ``_SHELL_FUNCTIONS`` for what a
      script may call

    The command always exits 0: whether a probe succeeded is in its output.
    """
    probes = "\n".join(
        f"( printf '%%begin {name}\\n'\n{script.strip()}\nprintf '%%end {name}\\n' )"
        for name, script in scripts.items()
    )
    # CR stays: a file with Windows line ends must be seen as one. All else that is not printable
    # ASCII is replaced on the host, so that no terminal and no decoder ever sees it.
    return (
        f"{{{_SHELL_FUNCTIONS}{probes}\n}} 2>/dev/null </dev/null"
        rf" | LC_ALL=C tr -c '\11\12\15\40-\176' '?' | head -c {MOST_BYTES}"
    )


def read(output: Iterable[str]) -> Readings:
    """The readings in a command's output, by probe name.

    + output: lines of standard output

    A probe whose output is cut off or out of form is left out, it does not spoil the others. What a
    host sends beyond :data:`MOST_BYTES` is not looked at.
    """
    readings = Readings()
    name: str | None = None
    body: list[str] = []
    left = MOST_BYTES
    for line in output:
        left -= len(line) + 1
        if left < 0:
            break
        if line.startswith("%begin "):
            name, body = line.removeprefix("%begin "), []
        elif name is not None and line == f"%end {name}":
            try:
                if name in readings:
                    raise ProbeError(f"probe {name} answered twice")
                readings[name] = _read_body(body)
            except ProbeError:
                readings.pop(name, None)
            name = None
        elif name is not None:
            body.append(line)
    return readings


def read_one(output: Iterable[str], name: str) -> Reading:
    """The reading of the one probe *name*; ProbeError when it is not there or out of form."""
    return read(output)[name]


def _read_body(body: list[str]) -> Reading:
    values: dict[str, str] = {}
    texts: dict[str, list[str]] = {}
    exact: dict[str, bytes] = {}
    unreadable: set[str] = set()
    lines = iter(body)
    for line in lines:
        if not line:
            continue
        # `tr` took these out on the host; a host that sends them did not run our command
        if _FOREIGN.search(line):
            raise ProbeError("characters outside printable ASCII")
        directive, _, rest = line.partition(" ")
        if directive == "%value":
            key, _, text = rest.partition(" ")
            _claim(key, values, texts, exact)
            values[key] = text
        elif directive == "%unreadable":
            unreadable.add(rest)
        elif directive in ("%text", "%exact"):
            _claim(rest, values, texts, exact)
            content, complete = _block(lines)
            if not complete:
                unreadable.add(rest)
            elif directive == "%text":
                texts[rest] = content
            else:
                exact[rest] = _decode(rest, content)
        else:
            raise ProbeError(f"unexpected line {line[:60]!r}")
    return Reading(values, texts, exact, frozenset(unreadable))


def _claim(key: str, *taken: Mapping[str, object]) -> None:
    if not _KEY.fullmatch(key):
        raise ProbeError(f"bad key {key[:60]!r}")
    if any(key in items for items in taken):
        raise ProbeError(f"{key[:60]!r} was sent twice")


def _block(lines: Iterable[str]) -> tuple[list[str], bool]:
    content: list[str] = []
    for line in lines:
        if line.startswith("|"):
            if _FOREIGN.search(line):
                raise ProbeError("characters outside printable ASCII")
            content.append(line[1:])
        elif line in ("%done", "%failed"):
            return content, line == "%done"
        elif line:
            break
    raise ProbeError("a block of text does not end")


def _decode(key: str, content: list[str]) -> bytes:
    try:
        return base64.b64decode("".join(content), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProbeError(f"{key[:60]!r} is not base64") from error
