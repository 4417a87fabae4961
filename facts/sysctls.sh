# shellcheck shell=sh
# The sysctls probe.

[ -d /proc/sys/kernel ] || unreadable @LIVE@
linked @PROCPS@
