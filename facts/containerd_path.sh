# shellcheck shell=sh
# Begins containerd's probes. Programs in Go that end at once: a collector and threads cost them more
# than they give.

GOGC=off GOMAXPROCS=1; export GOGC GOMAXPROCS
if [ -z "$program_distrust" ]; then
  case $program in /*) PATH="${program%/*}:$PATH";; esac
fi
