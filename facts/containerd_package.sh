# shellcheck shell=sh
# The package probe: which containerd is installed.

value binary "$containerd_program"
# a program that hangs must not hang the run
if [ -z "$containerd_distrust" ]; then
  captured_part limited 10 containerd --version; value version "$output"
else unreadable version; fi
# what was begun, and is neither proven nor undone
if [ -e @CHANGE@/back.sh ] && [ -r @CHANGE@/what ]; then
  what=; IFS= read -r what <@CHANGE@/what
  value change "${what:-unknown}"
elif [ -e @CHANGE@/back.sh ]; then value change unknown; fi
