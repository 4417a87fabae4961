# shellcheck shell=sh
# The container cgroups' probe: the cgroups that may be a container's, of all processes.

# 126: more processes than a command may have arguments
paths=$(
  { cat /proc/[0-9]*/cgroup; printf 'status %s\n' $?; } |
    grep -E '@PATTERN@|^status 12' | sort -u | head -c @MOST_BYTES@
)
# where processes of others are hidden (hidepid), the first one is too
own=; while IFS= read -r line; do own=$own$line$nl; done </proc/1/cgroup
case ${own:+seen}$paths in
  seen*'status 12'*) unreadable paths;;
  seen*)
    if [ "${#paths}" -lt @LEAST_CUT@ ]; then said paths "$paths"; said own "$own"
    else unreadable paths; fi;;
  *) unreadable paths;;
esac
