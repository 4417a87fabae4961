# shellcheck shell=sh
# The package probe: which containerd is installed.

value binary "$program"
# a program that hangs must not hang the run
if [ -z "$program_distrust" ]; then
  captured_part limited 10 containerd --version; value version "$output"
else unreadable version; fi
