# shellcheck shell=sh
# Shared: what is mounted where facts look.

captured grep -E '^[^ ]+ (@PLACES@(/[^ ]*)?) ' /proc/self/mounts
# / is one of them
if [ "$status" = 0 ]; then said mounts "$output"; else unreadable mounts; fi
