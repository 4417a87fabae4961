"""The wire format between a read-only shell script on a host and the code that reads its output.

A host is a stranger: a file on it may hold binary junk, terminal escapes or lines that look like
ours. So every line of foreign text travels with a ``|`` in front and cannot be taken for structure,
every byte outside printable ASCII becomes ``?`` (pyinfra decodes output as strict UTF-8 and loses
the rest of it on a bad byte), and a probe counts only when its closing line arrived.

What is on the wire, one item a line::

    %begin NAME             a probe's output starts; NAME is "shared" for what all probes share
    %value KEY text         one short value
    %text KEY               lines of text follow, each behind "|"
    %exact KEY              bytes follow, base64, each line behind "|"
    %lines KEY KEY...       lines of several texts follow, each behind "|KEY:"
    %files                  "|SIZE KEY" of several items, and behind "%bytes" all their bytes as one
    %done                   ... and were read to the end
    %failed                 ... and were not: the item exists and could not be read
    %unreadable KEY         an item that exists, or may exist, and was not even opened
    %end NAME               the probe's output is complete

"Unreadable" is never "absent": an item that was not sent at all is absent, an item that could not
be read is in :attr:`Reading.unreadable`.

On the host a process costs more than what it does here: a millisecond each, and a hundred times
that where a CPU is emulated. So probes state what files they want, and all are read at once by a
few processes; only where that goes wrong, or meets something odd, each is read on its own.

The script side is POSIX sh and uses only base64, cat, find, grep, head, ls, readlink, tr, wc, and
systemctl where there is one.
"""

from __future__ import annotations

import base64
import binascii
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

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
empty() { printf '%%text %s\n%%done\n' "$1"; }
said() {
  printf '%%text %s\n' "$1"
  set -f; IFS=$nl
  printf '|%s\n' $2
  set +f; unset IFS
  printf '%%done\n'
}
limited() {
  if command -v timeout >/dev/null; then timeout "$@"; else shift; "$@"; fi
}
# A name that cannot be a key would be taken for another one: its directory counts as unreadable.
is_key() {
  case $1 in
    *[!\ -~]* | *' ') set -- "${1%%[!\ -~]*}"; unreadable "${1%/*}"; return 1;;
  esac
}
# What does not show itself is absent only when the kernel says so: a directory on the way to it,
# or to where a link leads, may be closed.
says_absent() {
  case $1 in *': No such file or directory' | *': Not a directory') return 0;; esac
  return 1
}
is_absent() { says_absent "$(ls -dL -- "$1" 2>&1)"; }
# Files in /proc and /sys have size 0 and are small. 2048 blocks are 1 MiB.
is_small() {
  case $1 in /proc/* | /sys/*) return 0;; esac
  [ -z "$(find -L "$1" -prune -size +2048)" ]
}
readable_file() {
  is_key "$1" || return 1
  if [ -f "$1" ]; then
    is_small "$1" && return 0
    unreadable "$1"
  elif [ -c "$1" ]; then empty "$1"
  elif [ -e "$1" ] || ! is_absent "$1"; then unreadable "$1"
  elif [ -L "$1" ]; then empty "$1"; fi
  return 1
}
# walk PATH: add each name on the way to $ways, links followed one by one: where several lead on,
# each of them decides.
walk() {
  rest=${1#/}; real=; hops=0
  while [ -n "$rest" ]; do
    part=${rest%%/*}
    case $rest in */*) rest=${rest#*/};; *) rest=;; esac
    case $part in '' | .) continue;; ..) real=${real%/*}; continue;; esac
    ways=$ways$real/$part$nl
    if [ -L "$real/$part" ]; then
      hops=$((hops + 1)); target=$(readlink -- "$real/$part")
      case $hops:$target in
        40:* | *: | *[!\ -~]*) printf '%s leads nowhere\n' "$real/$part"; return 1;;
        *:/*) real=; rest=${target#/}/$rest;;
        *) rest=$target/$rest;;
      esac
    else real=$real/$part; fi
  done
}
distrust_of() {
  ways=/$nl
  for path in "$@"; do walk "$path" || return 0; done
  set -f; IFS=$nl
  set -- $ways
  ways=$(ls -ldn -- "$@")
  [ -n "$ways" ] || echo 'ls does not say to whom files belong'
  for line in $ways; do
    name=/${line#* /}; IFS=' '
    set -- $line
    case $3 in 0) ;; *) printf '%s belongs to uid %s\n' "${name%% -> *}" "$3"; return 0;; esac
    case $1:$4 in
      [lcbs]*) ;;
      # what is root's in a sticky directory only root can replace (/nix/store)
      d????w??-[tT]*) ;;
      ????????w*) printf '%s is writable by everybody\n' "$name"; return 0;;
      ?????w*+:* | ?????w*:*[!0]*) printf '%s is writable by group %s\n' "$name" "$4"; return 0;;
    esac
  done
}
# trusted PATH...: whether root alone decides what is at these paths: all that is on the way belongs
# to root, and only links, sockets and devices may be open to others. $distrust says what is not so.
trusted() { distrust=$(distrust_of "$@"); [ -z "$distrust" ]; }
distrusted() { unreadable "$1"; said "untrusted:$1" "$distrust"; }
# A directory in PATH that somebody else may write to would give root that one's programs.
usable_path() {
  usual=:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:; usable=
  set -f; IFS=:
  set -- $PATH
  set +f; unset IFS
  stated=$PATH; PATH=${usual#:}; PATH=${PATH%:}
  # not there: a host that has its programs elsewhere
  command -v ls >/dev/null || { PATH=$stated; return 0; }
  for place; do
    case $usual in *":$place:"*) usable=$usable$place:; continue;; esac
    case $place in /*) ! trusted "$place" || usable=$usable$place:;; esac
  done
  PATH=$usable$PATH
}
usable_path
# learn PATH...: of paths that something on the host names, those that may be read: $learned
learn() {
  learned=; trust=
  [ $# -lt 2 ] || ! trusted "$@" || trust=all
  for each in "$@"; do
    is_key "$each" || continue
    if [ -z "$trust" ] && ! trusted "$each"; then distrusted "$each"
    elif [ -e "$each" ] && [ ! -f "$each" ]; then unreadable "$each"
    else learned=$learned$each$nl; fi
  done
}
exact() {
  readable_file "$1" || return 0
  printf '%%exact %s\n|' "$1"
  if base64 -w0 "$1"; then printf '\n%%done\n'; else printf '\n%%failed\n'; fi
}
files=; missing=; kernel_files=; links=; linked_files=
want() {
  is_key "$1" || return 0
  case $nl$files in *"$nl$1$nl"*) return 0;; esac
  if [ -f "$1" ]; then
    if [ -L "$1" ]; then linked_files=$linked_files$1$nl
    elif [ -r "$1" ]; then files=$files$1$nl; else unreadable "$1"; fi
  elif [ -e "$1" ] || [ -L "$1" ]; then exact "$1"
  else missing=$missing$1$nl; fi
}
want_kernel_file() {
  if [ -r "$1" ] && [ -f "$1" ]; then kernel_files=$kernel_files$1$nl
  elif [ -e "$1" ] || [ -L "$1" ]; then unreadable "$1"
  else missing=$missing$1$nl; fi
}
want_directory() {
  case $1 in /lib/*) if [ -L /lib ]; then return 0; fi;; esac
  if [ ! -d "$1" ]; then
    if [ -e "$1" ]; then unreadable "$1"; else missing=$missing$1$nl; fi
  elif [ ! -r "$1" ] || [ ! -x "$1" ]; then unreadable "$1"
  elif [ -L "$1" ] && ! trusted "$1"; then distrusted "$1"
  else
    for path in "$1"/*.conf; do
      if [ -d "$path" ] && [ ! -L "$path" ]; then continue; fi
      if [ -e "$path" ] || [ -L "$path" ]; then want "$path"; fi
      if [ -L "$path" ]; then links=$links$path$nl; fi
    done
  fi
}
send_missing() {
  absent=0
  for line in $(ls -dL -- "$@" 2>&1 >/dev/null); do
    if says_absent "$line"; then absent=$((absent + 1)); fi
  done
  [ "$absent" != $# ] || return 0
  for path in "$@"; do is_absent "$path" || unreadable "$path"; done
}
linked() {
  if [ -L "$1" ] && [ -f "$1" ] && is_key "$1"; then said "real:$1" "$(readlink -f -- "$1")"; fi
}
send_links() { for path in "$@"; do linked "$path"; done; }
matching() {
  pattern=$1; shift
  found=$(grep -E -e "$pattern" -- /dev/null "$@")
  if [ $? -le 1 ]; then
    printf '%%lines'; printf ' %s' "$@"; printf '\n'
    set -f; IFS=$nl
    [ -z "$found" ] || printf '|%s\n' $found
    set +f; unset IFS
    printf '%%done\n'
    return
  fi
  for path in "$@"; do
    found=$(grep -E -e "$pattern" -- "$path")
    if [ $? -gt 1 ]; then unreadable "$path"; else said "$path" "$found"; fi
  done
}
# An empty file has no line to send, and nor has one that busybox's grep failed to read.
send_kernel_files() {
  found=$(grep -e '' -- /dev/null "$@")
  if [ $? -gt 1 ]; then for path in "$@"; do exact "$path"; done; return 0; fi
  sent=
  for path in "$@"; do
    case $nl$found in
      *"$nl$path:"*) sent="$sent $path";;
      *) exact "$path";;
    esac
  done
  [ -n "$sent" ] || return 0
  printf '%%lines%s\n' "$sent"
  printf '|%s\n' $found
  printf '%%done\n'
}
# Sizes first: what grew, shrank or could not be read in between makes the whole too long or short.
send_files() {
  sizes=; all=; total=0; left=$#
  for line in $(wc -c -- "$@"); do
    line=${line#"${line%%[! ]*}"}; size=${line%% *}; path=${line#* }
    case $path in /*) ;; *) continue;; esac
    case $size in '' | *[!0-9]*) left=-1; break;; esac
    left=$((left - 1))
    if [ "$size" -gt 1048576 ]; then unreadable "$path"; continue; fi
    sizes="$sizes|$size $path$nl"; all=$all$path$nl; total=$((total + size))
  done
  if [ "$left" = 0 ]; then
    [ -n "$all" ] || return 0
    bytes=$(cat -- $all | base64 -w0)
    case $((total % 3))$bytes in
      0 | 0*[!=] | 1*[!=]== | 2*[!=]=) length=$(((total + 2) / 3 * 4));;
      *) length=;;
    esac
    if [ "$length" = ${#bytes} ]; then
      printf '%%files\n%s%%bytes\n|%s\n%%done\n' "$sizes" "$bytes"
      return 0
    fi
  else all=$*; fi
  for path in $all; do exact "$path"; done
}
# "systemctl show" has a paragraph for each unit, in the order of its arguments.
send_units() {
  paragraphs=$(systemctl show $1 $2)$nl$nl; shown_units=$2
  rest=$paragraphs
  for unit in $2; do
    paragraph=${rest%%"$nl$nl"*}; rest=${rest#*"$nl$nl"}
    case $nl$paragraph in
      *"$nl"LoadState=*) said "unit:$unit" "$paragraph";;
      *) unreadable "unit:$unit";;
    esac
  done
}
unit() {
  rest=$paragraphs; paragraph=
  for each in $shown_units; do
    paragraph=${rest%%"$nl$nl"*}; rest=${rest#*"$nl$nl"}
    [ "$each" != "$1" ] || break
    paragraph=
  done
}
# A link's target is read only where root alone decides what it is.
send_linked_files() {
  learn "$@"
  set -f; IFS=$nl
  for path in $learned; do
    case $nl$files in *"$nl$path$nl"*) continue;; esac
    if [ -r "$path" ]; then files=$files$path$nl; else unreadable "$path"; fi
  done
}
send_wanted() {
  for send in missing links linked_files kernel_files files; do
    set -f; IFS=$nl
    eval "set -- \$$send"
    [ $# = 0 ] || "send_$send" "$@"
  done
  set +f; unset IFS
}
paragraphs=; shown_units=
"""
"""What a probe's script may call.

+ ``value KEY TEXT``: send one short value
+ ``said KEY TEXT``: send text, without its empty lines
+ ``matching PATTERN PATH...``: send the lines of files that match, by path, with one process; paths
  have no blanks in them
+ ``unreadable KEY``: say that an item could not be read
+ ``trusted PATH...``: whether root alone decides what is at these paths, links and directories on
  the way included; ``$distrust`` says what is not so. One process, and one for each link
+ ``learn PATH...``: of paths that a host's files or processes name, set ``$learned`` to the lines
  of those that may be read: regular files that are ``trusted``. The others are unreadable, and why
  is text under ``untrusted:PATH``
+ ``exact PATH``: send a file's bytes; nothing when there is no such file. A device (``/dev/null``)
  and a dangling link are empty text: both mask a drop-in of the same name. A file above 1 MiB, and
  one that may be there behind a directory that cannot be searched, are unreadable
+ ``linked PATH``: send where a link to a file leads, as text under ``real:PATH``
+ ``unit NAME``: set ``$paragraph`` to what systemctl said of one of the script's units
+ ``limited SECONDS COMMAND...``: run a command, not longer than that

What :class:`Script` states is read before, for all probes at once, by the rest of them.
"""

SHARED = "shared"
"""The name under which the wire has what all probes share."""

MOST_BYTES = 8 * 1024 * 1024
"""What a host may answer to one command; the rest is cut off on the host."""
MOST_LINES = 200_000

_FOREIGN = re.compile(r"[^\t\r\x20-\x7e]")

_KEY = re.compile(r"[!-~](?:[ -~]*[!-~])?")


class ProbeError(Exception):
    """A host's answer that is no answer: cut off, out of form, or without the probe asked for."""


@dataclass(frozen=True)
class Script:
    """What a probe reads on a host.

    + shell: sh that reads what the rest cannot state, see ``_SHELL_FUNCTIONS`` for what it may call
    + files: paths; each is sent under the rules of ``exact PATH``
    + directories: of each, every ``*.conf`` as one of *files*, but no directories, and nothing
      below ``/lib`` where that is a link. Where a link leads is text under ``real:PATH``. A name
      outside printable ASCII makes its directory unreadable
    + kernel_files: paths without blanks in ``/proc`` and ``/sys``, sent as text
    + units: systemd units, of which ``systemctl show`` is text under ``unit:NAME``, unreadable when
      it said nothing. Where systemd does not run nothing is sent
    + properties: those of the units, besides ``LoadState``
    + shared: sh that is run once before all probes, for several of them; what it sends and the
      variables it sets are there for each. It must not end the shell

    Scripts of one command share what they read: each thing is read once, whoever states it.
    """

    shell: str = ""
    files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    kernel_files: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What one probe read on a host: values and texts by key, and what could not be read.

    What is in *exact* is in *texts* too.
    """

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

    def unit(self, name: str) -> dict[str, str] | None:
        """Properties of a unit; None when systemd does not run, empty when it said nothing."""
        key = f"unit:{name}"
        if key not in self.texts and key not in self.unreadable:
            return None
        return dict(line.partition("=")[::2] for line in self.text(key) if "=" in line)

    def why_unreadable(self, path: str) -> str | None:
        """``not trusted: /home/bob belongs to uid 1000``; None when that is not the reason."""
        reason = " ".join(self.text(f"untrusted:{path}"))
        return f"not trusted: {reason}" if reason else None

    def is_unreadable(self, path: str) -> bool:
        """Whether *path*, or the directory it would be in, exists and could not be read."""
        return path in self.unreadable or path.rpartition("/")[0] in self.unreadable


class Readings(dict[str, Reading]):
    """Readings by probe name; ProbeError for a probe that is not there."""

    def __missing__(self, name: str) -> Reading:
        raise ProbeError(f"the host's answer to {name} is cut off or out of form")


def command(scripts: Mapping[str, Script]) -> str:
    """One shell command that runs several probes' scripts, each shut off from the others.

    + scripts: by probe name

    The command always exits 0: whether a probe succeeded is in its output.
    """
    return _command(tuple(scripts.items()))


# most hosts are asked the same
@lru_cache(maxsize=64)
def _command(scripts: tuple[tuple[str, Script], ...]) -> str:
    probes = "\n".join(
        f"( printf '%%begin {name}\\n'\n{script.shell.strip()}\nprintf '%%end {name}\\n' )"
        for name, script in scripts
    )
    # CR stays: a file with Windows line ends must be seen as one. All else that is not printable
    # ASCII is replaced on the host, so that no terminal and no decoder ever sees it.
    shared = _shared([script for _, script in scripts])
    path = "PATH=/usr/bin:/bin:$PATH"
    return (
        f"{{{_SHELL_FUNCTIONS}{shared}{probes}\n}} 2>/dev/null </dev/null"
        rf" | {path} LC_ALL=C tr -c '\11\12\15\40-\176' '?' | {path} head -c {MOST_BYTES}"
    )


def _shared(scripts: Sequence[Script]) -> str:
    def union(name: str) -> list[str]:
        return list(dict.fromkeys(item for script in scripts for item in getattr(script, name)))

    wanted = [
        f"{want} {shlex.quote(path)}\n"
        for want, name in (
            ("want", "files"),
            ("want_directory", "directories"),
            ("want_kernel_file", "kernel_files"),
        )
        for path in union(name)
    ]
    if wanted:
        wanted.append("send_wanted\n")
    if units := union("units"):
        properties = " ".join(f"-p {name}" for name in ("LoadState", *union("properties")))
        words = f"{shlex.quote(properties)} {shlex.quote(' '.join(units))}"
        wanted.append(f"if [ -d /run/systemd/system ]; then send_units {words}; fi\n")
    lines = [*wanted, *(f"{shell.strip()}\n" for shell in union("shared"))]
    if not lines:
        return ""
    return f"printf '%%begin {SHARED}\\n'\n{''.join(lines)}printf '%%end {SHARED}\\n'\n"


def read(output: Iterable[str]) -> Readings:
    """The readings in a command's output, by probe name.

    + output: lines of standard output

    A probe whose output is cut off or out of form is left out, it does not spoil the others; only
    what they share does. What a host sends beyond :data:`MOST_BYTES` is not looked at.
    """
    readings = Readings()
    name: str | None = None
    body: list[str] = []
    left = MOST_BYTES
    has_shared = False
    for line in output:
        left -= len(line) + 1
        if left < 0:
            break
        if line.startswith("%begin "):
            name, body = line.removeprefix("%begin "), []
            has_shared = has_shared or name == SHARED
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
    if has_shared:
        shared = readings.pop(SHARED, None)
        return Readings() if shared is None else Readings(_joined(readings, shared))
    return readings


def _joined(readings: Readings, shared: Reading) -> Iterator[tuple[str, Reading]]:
    for name, own in readings.items():
        if (
            own.values.keys().isdisjoint(shared.values)
            and own.texts.keys().isdisjoint(shared.texts)
            and own.exact.keys().isdisjoint(shared.exact)
        ):
            yield (
                name,
                Reading(
                    {**shared.values, **own.values},
                    {**shared.texts, **own.texts},
                    {**shared.exact, **own.exact},
                    shared.unreadable | own.unreadable,
                ),
            )


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
                texts[rest] = list(_as_text(exact[rest]))
        elif directive == "%lines":
            for key, content in _lines_by_key(rest.split(" "), lines):
                _claim(key, values, texts, exact)
                texts[key] = content
        elif line == "%files":
            for key, content_bytes in _files(lines):
                _claim(key, values, texts, exact)
                exact[key], texts[key] = content_bytes, list(_as_text(content_bytes))
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


def _lines_by_key(keys: list[str], lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    content, complete = _block(lines)
    if not complete:
        raise ProbeError("lines were not read to the end")
    by_key: dict[str, list[str]] = {key: [] for key in keys}
    for line in content:
        key, colon, text = line.partition(":")
        if not colon or key not in by_key:
            raise ProbeError(f"{line[:60]!r} is a line of nothing that was asked for")
        by_key[key].append(text)
    yield from by_key.items()


def _files(lines: Iterator[str]) -> Iterator[tuple[str, bytes]]:
    sizes: list[tuple[str, int]] = []
    for line in lines:
        if line == "%bytes":
            break
        found = re.fullmatch(r"\|([0-9]{1,8}) (.*)", line)
        if not found:
            raise ProbeError(f"{line[:60]!r} is no size of a file")
        sizes.append((found[2], int(found[1])))
    encoded, complete = _block(lines)
    content = _decode("files", encoded)
    if not complete or len(content) != sum(size for _, size in sizes):
        raise ProbeError("files are not as long as was said")
    at = 0
    for key, size in sizes:
        yield key, content[at : at + size]
        at += size


_SHOWN = bytes(
    byte if byte in b"\t\n\r" or 0x20 <= byte <= 0x7E else ord("?") for byte in range(256)
)


# the files of a fleet's hosts are mostly the same ones
@lru_cache(maxsize=1024)
def _as_text(content: bytes) -> tuple[str, ...]:
    """The lines of a file, with ``?`` for what is not printable ASCII."""
    lines = content.translate(_SHOWN).decode("ascii").split("\n")
    return tuple(lines[:-1] if lines[-1] == "" else lines)


def _decode(key: str, content: list[str]) -> bytes:
    try:
        return base64.b64decode("".join(content), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProbeError(f"{key[:60]!r} is not base64") from error
