"""Write a file on a host whole or not at all: temp file beside it, fsync, rename."""

from __future__ import annotations

import posixpath
import shlex

REPLACE_FUNCTION = r"""
# replace DEST: standard input becomes DEST in one step. An existing file keeps its owner and mode.
# The temp file's name is fixed, so that what a power cut left behind is used up by the next run,
# and it does not end in .conf or .toml, so that nothing at boot ever reads it.
replace() {
  dir=${1%/*}; temp="$dir/.${1##*/}.kubenode"
  mkdir -p "$dir" && rm -f "$temp" && (umask 077; cat >"$temp") || return 1
  if [ -f "$1" ] && [ ! -L "$1" ]; then
    chown "$(stat -c %u:%g "$1")" "$temp" && chmod "$(stat -c %a "$1")" "$temp" || return 1
  else
    chmod 0644 "$temp" || return 1
  fi
  { sync "$temp" || sync; } 2>/dev/null
  mv -f "$temp" "$1" && { sync "$dir" || sync; } 2>/dev/null
}
"""


def write(path: str, text: str) -> str:
    """A shell command that makes *text* the whole content of *path*.

    + path: absolute path; a symbolic link there is replaced, not followed: a link to ``/dev/null``
      is how a drop-in is masked, and writing through it would change nothing
    + text: the new content

    **Example:**

    .. code:: python

        yield whole_file.write("/etc/modules-load.d/k8s.conf", "overlay\\nbr_netfilter\\n")
    """
    if not posixpath.isabs(path):
        raise ValueError(f"not an absolute path: {path}")
    return f"{REPLACE_FUNCTION.strip()}\nprintf %s {shlex.quote(text)} | replace {shlex.quote(path)}"
