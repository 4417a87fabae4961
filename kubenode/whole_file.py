"""Write a file on a host whole or not at all: temp file beside it, fsync, rename."""

from __future__ import annotations

import posixpath
import shlex

FUNCTIONS = r"""
# The temp file's name is fixed, so that what a power cut left behind is used up by the next run,
# and it does not end in .conf or .toml, so that nothing at boot ever reads it.
temp_of() { printf '%s\n' "${1%/*}/.${1##*/}.kubenode"; }
# stage DEST: write standard input beside DEST, with the owner and mode that DEST has.
stage() {
  temp=$(temp_of "$1")
  mkdir -p "${1%/*}" && rm -f "$temp" && (umask 077; cat >"$temp") || return 1
  if [ -f "$1" ] && [ ! -L "$1" ]; then
    chown "$(stat -c %u:%g "$1")" "$temp" && chmod "$(stat -c %a "$1")" "$temp" || return 1
  else
    chmod 0644 "$temp" || return 1
  fi
  { sync "$temp" || sync; } 2>/dev/null
}
# commit DEST: what was staged becomes DEST in one step. mv would move it into a directory.
commit() {
  if [ -d "$1" ] || { [ -e "$1" ] && [ ! -f "$1" ] && [ ! -L "$1" ]; }; then
    rm -f "$(temp_of "$1")"
    echo "$1 is no file: it was not replaced" >&2
    return 1
  fi
  mv -f "$(temp_of "$1")" "$1" && { sync "${1%/*}" || sync; } 2>/dev/null
}
replace() { stage "$1" && commit "$1"; }
"""


def write(path: str, text: str) -> str:
    """A shell command that makes *text* the whole content of *path*.

    + path: absolute path; a symbolic link there is replaced, not followed: a link to ``/dev/null``
      is how a drop-in is masked, and writing through it would change nothing
    + text: the new content

    An existing file keeps its owner and mode, a new one is root's with mode 0644. The command fails
    where there is a directory, a link to one, or a device.

    **Example:**

    .. code:: python

        yield whole_file.write("/etc/modules-load.d/k8s.conf", "overlay\\nbr_netfilter\\n")
    """
    if not posixpath.isabs(path):
        raise ValueError(f"not an absolute path: {path}")
    return f"{FUNCTIONS.strip()}\nprintf %s {shlex.quote(text)} | replace {shlex.quote(path)}"
