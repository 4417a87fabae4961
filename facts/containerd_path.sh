# shellcheck shell=sh
# Begins containerd's probes. Programs in Go that end at once: a collector and threads cost them more
# than they give.

GOGC=off GOMAXPROCS=1; export GOGC GOMAXPROCS
if [ -z "$containerd_distrust" ]; then
  case $containerd_program in /*) PATH="${containerd_program%/*}:$PATH";; esac
fi
