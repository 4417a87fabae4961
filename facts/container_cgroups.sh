# shellcheck shell=sh
# The cgroups of all containers that run.

paths=$(
  cat /proc/[0-9]*/cgroup | grep -E 'kubepods|cri-containerd|crio-' | sort -u |
    head -c @MOST_BYTES@
)
if [ "${#paths}" -lt @LEAST_CUT@ ]; then said paths "$paths"; else unreadable paths; fi
