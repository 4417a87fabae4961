# shellcheck shell=sh
# The runtime_switch probe: a change that was begun, and is neither proven nor undone.

value known yes
if [ -e @CHANGE@/back.sh ]; then
  what=
  [ ! -f @CHANGE@/what ] || IFS= read -r what <@CHANGE@/what
  value change "${what:-unknown}"
fi
