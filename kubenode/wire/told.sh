# shellcheck shell=sh
# What a program says, for what operations run: not all of it where it does not end.

# told COMMAND...: what it says, on standard error too, of which @MOST_TOLD@ bytes are taken: what a
# shell takes in is in its memory. Its code is the command's.
told() {
  {
    told_code=$( {
      { "$@" 2>&1 3>&- 4>&-; echo "$?" >&3; } | head -c @MOST_TOLD@ >&4
    } 3>&1)
  } 4>&1
  return "${told_code:-1}"
}
