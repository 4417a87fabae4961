"""The scripts that put a containerd configuration in place: checked first, undone if it fails.

All of it runs on the host in one command. When the connection breaks, the host still ends with a
daemon that serves CRI, on the new configuration or on the old one; after a power cut the next run
finds a note of what was not proven yet, and begins with what was there before.
"""

from __future__ import annotations

import base64
import posixpath
import shlex
from collections.abc import Mapping, Sequence

from pyinfra.api import StringCommand

from kubenode import whole_file

CRI_WAIT_SECONDS = 60
"""How long the daemon may take until CRI answers: a restart with many containers is slow."""

BACKUP_SUFFIX = ".kubenode-backup"
UNPROVEN_SUFFIX = ".kubenode-unproven"

CRI_FUNCTIONS = r"""
# A connection that breaks must not stop what follows half-way.
trap '' HUP PIPE
fail() { printf '%s\n' "$*" >&2; exit 1; }
limited() { if command -v timeout >/dev/null; then timeout 20 "$@"; else "$@"; fi; }
# The CRI plugin has this id in every release, and ctr asks through the same socket as kubelet.
cri_serves() {
  limited ctr --address "$socket" --connect-timeout 2s plugins ls 2>/dev/null |
    grep -Eq '^io\.containerd\.grpc\.v1 +cri .* ok *$'
}
wait_for_cri() {
  waited=0
  until cri_serves; do
    [ "$waited" -lt "$1" ] || return 1
    sleep 1
    waited=$((waited + 1))
  done
}
last_words() { journalctl -u containerd.service -n 5 --no-pager -o cat 2>/dev/null | cut -c1-300; }
"""

SWAP_FUNCTIONS = rf"""
dump() {{ limited containerd --config="$1" config dump 2>&1 >/dev/null; }}
# target_of FILE: where a link leads. What is there and is no file is not for us to replace.
target_of() {{
  mkdir -p "${{1%/*}}" && path=$(readlink -f "$1") && [ -n "$path" ] || return 1
  if [ -e "$path" ] && [ ! -f "$path" ]; then return 1; fi
  printf '%s\n' "$path"
}}
# new FILE BYTES: stage the next line of standard input, base64 of that many bytes. It does not
# come as an argument: arguments are short, and every user of the host can read them.
new() {{
  path=$(target_of "$1") && read -r encoded || return 1
  (umask 077; printf %s "$encoded" | base64 -d | stage "$path") &&
    [ "$(wc -c <"$(temp_of "$path")")" -eq "$2" ]
}}
discard() {{ path=$(target_of "$1") && rm -f "$(temp_of "$path")"; }}
keep() {{
  path=$(target_of "$1") || return 1
  backup="$path{BACKUP_SUFFIX}"
  if [ -f "$path" ]; then cp -p "$path" "$backup.part" && mv -f "$backup.part" "$backup"
  else rm -f "$backup"; fi
}}
put() {{ path=$(target_of "$1") && commit "$path"; }}
undo() {{
  path=$(target_of "$1") || return 1
  backup="$path{BACKUP_SUFFIX}"
  if [ -f "$backup" ]; then replace "$path" <"$backup"; else rm -f "$path"; fi
}}
each() {{ action=$1; shift; for file in "$@"; do "$action" "$file" || return 1; done; }}
"""


def _head(program: str, socket: str) -> str:
    return f"""{whole_file.FUNCTIONS.strip()}
{CRI_FUNCTIONS.strip()}
PATH={shlex.quote(posixpath.dirname(program))}:$PATH:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
socket={shlex.quote(socket)}"""


def swap(
    files: Mapping[str, str], main: str, program: str, socket: str, restart: bool
) -> StringCommand:
    """A command that replaces configuration files of containerd, all or none.

    + files: new text by path
    + main: path of the main configuration file
    + program: path of containerd; ``ctr`` is looked for beside it first
    + socket: path of the daemon's socket
    + restart: restart the daemon and wait until CRI answers (at most CRI_WAIT_SECONDS)

    The new main file is shown to ``containerd config dump`` before anything is replaced, and the
    whole afterwards. When containerd refuses either, or does not come up, the old files return (and
    the daemon with them) and the command fails with containerd's own words. Each file's predecessor
    stays beside it with the suffix ``.kubenode-backup``; owner and mode are kept, a symbolic link
    is followed.
    """
    quoted = " ".join(map(shlex.quote, files))
    note = shlex.quote(f"{main}{UNPROVEN_SUFFIX}")
    contents = {path: text.encode() for path, text in files.items()}
    stage = "\n".join(
        f"new {shlex.quote(path)} {len(content)} || {{\n"
        f"  each discard {quoted}\n"
        f"  fail {shlex.quote(f'cannot write beside {path}: nothing was changed')}\n}}"
        for path, content in contents.items()
    )
    check_main = (
        f"""
error=$(dump "$(temp_of "$(target_of {shlex.quote(main)})")") || {{
  each discard {quoted}
  fail "containerd refuses the new configuration, nothing was changed: $error"
}}"""
        if main in files
        else ""
    )
    bring_up = (
        f"""
systemctl reset-failed containerd.service 2>/dev/null
systemctl restart containerd.service && wait_for_cri {CRI_WAIT_SECONDS} || {{
  words=$(last_words)
  each undo {quoted} && rm -f {note}
  systemctl reset-failed containerd.service 2>/dev/null
  systemctl restart containerd.service && wait_for_cri {CRI_WAIT_SECONDS} ||
    fail "containerd did not come up, and does not with the old configuration either: $words"
  fail "containerd did not come up with the new configuration, the old one is back: $words"
}}"""
        if restart
        else ""
    )
    return StringCommand(
        f"""{_head(program, socket)}
{SWAP_FUNCTIONS.strip()}
command -v ctr >/dev/null || fail "ctr is missing, and with it the way to see that CRI answers"
{stage}{check_main}
each keep {quoted} && printf '%s\\n' {quoted} | replace {note} || {{
  each discard {quoted}
  fail "cannot keep a backup: nothing was changed"
}}
each put {quoted} || {{
  each undo {quoted} && rm -f {note}
  fail "cannot replace the configuration, the old one is back"
}}
error=$(dump {shlex.quote(main)}) || {{
  each undo {quoted} && rm -f {note}
  fail "containerd refuses the new configuration, the old one is back: $error"
}}{bring_up}
rm -f {note}""",
        _stdin=[base64.b64encode(content).decode() for content in contents.values()],
    )


def undo(files: Sequence[str], main: str, program: str, socket: str) -> str:
    """A shell command that brings back what was there before a swap that was interrupted.

    + files: paths of the files that the swap had begun to replace
    + main: path of the main configuration file
    + program: path of containerd
    + socket: path of the daemon's socket

    The daemon is not restarted: what it runs with is proven by the swap that follows.
    """
    return f"""{_head(program, socket)}
{SWAP_FUNCTIONS.strip()}
each undo {" ".join(map(shlex.quote, files))} || fail "cannot bring back what was there before"
rm -f {shlex.quote(f"{main}{UNPROVEN_SUFFIX}")}"""


def start(program: str, socket: str, steps: Sequence[str]) -> str:
    """A shell command that runs *steps* and then waits until CRI answers.

    + program: path of containerd; ``ctr`` is looked for beside it first
    + socket: path of the daemon's socket
    + steps: commands, such as ``systemctl start containerd.service``
    """
    return f"""{_head(program, socket)}
{{ {" && ".join(steps)}; }} || {{ last_words >&2; exit 1; }}
wait_for_cri {CRI_WAIT_SECONDS} ||
  fail "containerd runs, and CRI does not answer within {CRI_WAIT_SECONDS} s: $(last_words)\""""
