"""Change files on a host whole or not at all, so that a power cut loses nothing.

A file is staged beside its destination, synced, renamed, and its directory synced: at every instant
there is the old one or the new one. What it replaces, or removes, is kept before that in the same
way:

+ ``FILE.kubenode-backup`` is what was there before kubenode's first change, and stays for good
+ ``FILE.kubenode-backup.1`` and so on are what later changes replaced, the highest the latest. Of
  these the :data:`BACKUPS` latest stay. What a backup has already is not kept twice, and nothing is
  not kept: an empty file takes no backup's place
"""

from __future__ import annotations

import hashlib
import posixpath
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from pyinfra.api import StringCommand

from kubenode.files import host_lock

BACKUP_SUFFIX = ".kubenode-backup"
BACKUPS = 9

NOTHING = "-"
"""The sum of what is not there, and of what is empty."""

FUNCTIONS = rf"""
needs base64 cat chmod chown cp id mkdir mv rm sha256sum stat sync
# sync takes files since coreutils 8.24; older ones and some of busybox sync all, or refuse.
if sync "$locks" 2>/dev/null; then sync_file() {{ sync "$1"; }}
else sync_file() {{ sync; }}; fi
# A few file systems cannot sync a directory by itself.
sync_directory() {{
  unsynced=$(sync_file "${{1:-/}}" 2>&1) && return 0
  case $unsynced in
    *'Invalid argument'* | *'ot supported'*) sync;;
    *) say "$unsynced"; return 1;;
  esac
}}
# make_directory PATH: with those above it; a mode of its own, whatever the umask
make_directory() {{
  if [ -d "${{1:-/}}" ]; then return 0; fi
  make_directory "${{1%/*}}" && mkdir -m 0755 "$1" && sync_directory "${{1%/*}}"
}}
# sum_of FILE: sha256 of what is in it, "-" when that is nothing: no file, an empty one, a device
sum_of() {{
  if [ -f "$1" ] && [ -s "$1" ]; then
    sum=$(sha256sum <"$1") || return 1
    printf '%s\n' "${{sum%% *}}"
  else echo -; fi
}}
temp_of() {{ temp=${{1%/*}}/.${{1##*/}}.kubenode.$$; }}
# What an interrupted run left staged goes: whoever holds the lock is the only one who stages.
staging() {{
  make_directory "${{1%/*}}" || return 1
  case $(stat -c %A "${{1%/*}}/") in
    ????????w*) say "all users may change what is in ${{1%/*}}: chmod o-w it"; return 1;;
  esac
  temp_of "$1"
  for left in "${{1%/*}}"/.*.kubenode "${{1%/*}}"/.*.kubenode.[0-9]*; do
    case $nl$staged in *"$nl$left$nl"*) continue;; esac
    if [ -f "$left" ] && [ ! -L "$left" ] && [ -O "$left" ]; then rm -f "$left"; fi
  done
  staged=$staged$temp$nl
  # a new file for sure, and nobody else's to read before it is in place
  (set -C; umask 077; : >"$temp")
}}
# expect FILE SUM: fail when it is not what the plan was made from
expect() {{
  if [ -d "$1" ] || {{ [ -e "$1" ] && [ ! -f "$1" ] && [ ! -L "$1" ]; }}; then
    fail "$1 is no file: nothing was changed"
  fi
  now=$(sum_of "$1") || fail "cannot read $1: nothing was changed"
  [ "$now" = "$2" ] || fail "$1 was changed meanwhile: nothing was changed by this run, run again"
}}
# stage FILE SUM BASE64: put new content beside the file
stage() {{
  staging "$1" || return 1
  printf %s "$3" | base64 -d >"$temp"
  [ "$(sum_of "$temp")" = "$2" ] && sync_file "$temp"
}}
# stage_copy FROM FILE SUM: put a copy of another file beside it
stage_copy() {{ staging "$2" && cp -p "$1" "$temp" && [ "$(sum_of "$temp")" = "$3" ]; }}
# place FILE: what was staged becomes the file
place() {{
  temp_of "$1"
  sync_file "$temp" && mv -f "$temp" "$1" && sync_directory "${{1%/*}}"
}}
# commit FILE SUM: the same with the file's owner and mode, when it is still what was expected
commit() {{
  temp_of "$1"
  if [ -d "$1" ] || [ "$(sum_of "$1")" != "$2" ]; then
    say "$1 was changed meanwhile: run again"; return 1
  fi
  if [ -f "$1" ] && [ ! -L "$1" ]; then
    chown "$(stat -c %u:%g "$1")" "$temp" && chmod "$(stat -c %a "$1")" "$temp" || return 1
  else
    chown "$(id -u):$(id -g)" "$temp" && chmod 0644 "$temp" || return 1
  fi
  place "$1"
}}
# remove FILE SUM
remove() {{
  if [ "$(sum_of "$1")" != "$2" ]; then say "$1 was changed meanwhile: run again"; return 1; fi
  rm -f "$1" && sync_directory "${{1%/*}}"
}}
# keep FILE: what is in it stays beside it, in $backup; empty when there is nothing to keep
keep() {{
  backup=; last=0; count=0; oldest=
  if [ ! -f "$1" ] || [ ! -s "$1" ]; then return 0; fi
  kept=$(sum_of "$1") || return 1
  for old in "$1{BACKUP_SUFFIX}" "$1{BACKUP_SUFFIX}".[1-9]*; do
    if [ -f "$old" ] && [ ! -L "$old" ] && [ "$(sum_of "$old")" = "$kept" ]; then
      backup=$old
      sync_file "$old" && sync_directory "${{old%/*}}"
      return
    fi
    number=${{old#"$1{BACKUP_SUFFIX}"}}; number=${{number#.}}
    case $number in '' | *[!0-9]* | ??????????*) continue;; esac
    count=$((count + 1))
    if [ "$number" -gt "$last" ]; then last=$number; fi
    if [ "$number" -lt "${{oldest:-$number}}" ]; then oldest=$number; fi
    oldest=${{oldest:-$number}}
  done
  backup=$1{BACKUP_SUFFIX}
  if [ -s "$backup" ] || [ -L "$backup" ]; then backup=$backup.$((last + 1)); fi
  stage_copy "$1" "$backup" "$kept" && place "$backup" || return 1
  if [ "$count" -ge {BACKUPS} ] && [ "$backup" != "$1{BACKUP_SUFFIX}" ]; then
    rm -f "$1{BACKUP_SUFFIX}.$oldest"
  fi
}}
# as_it_was FILE SUM: say what is, after something failed
as_it_was() {{
  if [ "$(sum_of "$1")" = "$2" ]; then echo "it is as it was"
  else echo "it is not as it was; that is in ${{3:-no backup, there was nothing}}"; fi
}}
"""


@dataclass(frozen=True)
class Change:
    """What becomes of a file.

    + path: absolute path; a symbolic link there is replaced, not followed: a link to ``/dev/null``
      is how a drop-in is masked, and writing through it would change nothing
    + old: what it is now, None when there is no such file; a mask is empty
    + new: its new content, None removes it
    """

    path: str
    old: bytes | None
    new: bytes | None

    def __post_init__(self) -> None:
        if not posixpath.isabs(self.path):
            raise ValueError(f"not an absolute path: {self.path}")


def sum_of(content: bytes | None) -> str:
    """sha256 of a file's content in hexadecimal, :data:`NOTHING` when there is none.

    + content: None when there is no such file
    """
    return hashlib.sha256(content).hexdigest() if content else NOTHING


def change(changes: Sequence[Change], between: str = "") -> StringCommand:
    """A command that changes files, and nothing when one is not what it was when that was planned.

    + changes: in the order in which they are made
    + between: sh that runs when all is staged and kept, and before anything is replaced; when it
      ends the shell, no file is changed

    An existing file keeps its owner and mode, a new one is root's with mode 0644, a new directory
    has 0755. The command fails where there is a directory, a link to one, a pipe or a device. What
    is replaced or removed stays beside it, see the module.

    **Example:**

    .. code:: python

        yield whole_file.change([Change("/etc/modules-load.d/k8s.conf", None, b"overlay\\n")])
    """
    if not changes:
        return host_lock.under_lock(between)
    contents: list[bytes] = []
    expect, stage, keep, commit = [], [], [], []
    for number, item in enumerate(changes, 1):
        path, old = shlex.quote(item.path), sum_of(item.old)
        expect.append(f"expect {path} {old}")
        keep.append(
            f"keep {path} || fail {shlex.quote(f'cannot keep a backup of {item.path}')}: "
            f"no file was changed\nbackup_{number}=$backup"
        )
        if item.new is None:
            action, verb = f"remove {path} {old}", "remove"
        else:
            contents.append(item.new)
            stage.append(
                f'stage {path} {sum_of(item.new)} "$content_{len(contents)}" || '
                f"fail {shlex.quote(f'cannot write beside {item.path}')}: nothing was changed"
            )
            action, verb = f"commit {path} {old}", "replace"
        commit.append(
            f"{action} || fail {shlex.quote(f'cannot {verb} {item.path}')}: "
            f'"$(as_it_was {path} {old} "$backup_{number}")"'
        )
    steps = [*expect, *stage, *keep, *filter(None, [between]), *commit]
    return host_lock.under_lock("\n".join([FUNCTIONS.strip(), *steps]), contents)
