"""The script that puts a containerd configuration in place: checked first, undone if it fails.

All of it runs on the host in one command. When the connection breaks, the host still ends with a
daemon that serves CRI, on the new configuration or on the old one.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping

from kubenode import whole_file

CRI_WAIT_SECONDS = 60
"""How long the daemon may take until CRI answers: a restart with many containers is slow."""

BACKUP_SUFFIX = ".kubenode-backup"

CRI_FUNCTIONS = r"""
# The CRI plugin has this id in every release, and ctr asks through the same socket as kubelet.
cri_serves() {
  ctr --address "$socket" --connect-timeout 2s plugins ls 2>/dev/null |
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
fail() {{ printf '%s\n' "$*" >&2; exit 1; }}
dump() {{ containerd --config="$1" config dump 2>&1 >/dev/null; }}
target_of() {{ mkdir -p "${{1%/*}}" && readlink -f "$1"; }}
# Text comes in base64, so that no quoting between here and there can change it.
new() {{ path=$(target_of "$2") && printf %s "$1" | base64 -d | stage "$path"; }}
discard() {{ rm -f "$(temp_of "$(target_of "$1")")"; }}
keep() {{
  path=$(target_of "$1") || return 1
  if [ -f "$path" ]; then
    backup="$path{BACKUP_SUFFIX}"
    cp -p "$path" "$backup.part" && mv -f "$backup.part" "$backup"
  else rm -f "$path{BACKUP_SUFFIX}"; fi
}}
put() {{ commit "$(target_of "$1")"; }}
undo() {{
  path=$(target_of "$1") || return 1
  backup="$path{BACKUP_SUFFIX}"
  if [ -f "$backup" ]; then replace "$path" <"$backup"; else rm -f "$path"; fi
}}
each() {{ action=$1; shift; for file in "$@"; do "$action" "$file" || return 1; done; }}
"""


def swap(files: Mapping[str, str], main: str, socket: str, restart: bool) -> str:
    """A shell command that replaces configuration files of containerd, all or none.

    + files: new text by path
    + main: path of the main configuration file
    + socket: path of the daemon's socket
    + restart: restart the daemon and wait until CRI answers (at most CRI_WAIT_SECONDS)

    The new main file is shown to ``containerd config dump`` before anything is replaced, and the
    whole afterwards. When containerd refuses either, or does not come up, the old files return (and
    the daemon with them) and the command fails with containerd's own words. Each file's predecessor
    stays beside it with the suffix ``.kubenode-backup``; owner and mode are kept, a symbolic link
    is followed.
    """
    quoted = " ".join(shlex.quote(path) for path in files)
    stage = "\n".join(
        f"new {base64.b64encode(text.encode()).decode()} {shlex.quote(path)} "
        f"|| fail {shlex.quote(f'cannot write beside {path}: nothing was changed')}"
        for path, text in files.items()
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
  each undo {quoted}
  systemctl reset-failed containerd.service 2>/dev/null
  systemctl restart containerd.service && wait_for_cri {CRI_WAIT_SECONDS} ||
    fail "containerd did not come up, and does not with the old configuration either: $words"
  fail "containerd did not come up with the new configuration, the old one is back: $words"
}}"""
        if restart
        else ""
    )
    return f"""{whole_file.FUNCTIONS.strip()}
{CRI_FUNCTIONS.strip()}
{SWAP_FUNCTIONS.strip()}
socket={shlex.quote(socket)}
{stage}{check_main}
each keep {quoted} || fail "cannot keep a backup: nothing was changed"
each put {quoted} || {{
  each undo {quoted}
  fail "cannot replace the configuration, the old one is back"
}}
error=$(dump {shlex.quote(main)}) || {{
  each undo {quoted}
  fail "containerd refuses the new configuration, the old one is back: $error"
}}{bring_up}"""


def start(socket: str, steps: list[str]) -> str:
    """A shell command that runs *steps* and then waits until CRI answers.

    + socket: path of the daemon's socket
    + steps: commands, such as ``systemctl start containerd.service``
    """
    failure = (
        f'printf "%s\\n" "containerd runs, and CRI does not answer within {CRI_WAIT_SECONDS} s:" '
        '"$(last_words)" >&2; exit 1'
    )
    return f"""{CRI_FUNCTIONS.strip()}
socket={shlex.quote(socket)}
{{ {" && ".join(steps)}; }} || {{ last_words >&2; exit 1; }}
wait_for_cri {CRI_WAIT_SECONDS} || {{ {failure}; }}"""
