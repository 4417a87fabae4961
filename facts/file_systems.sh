# shellcheck shell=sh
# What df says of directories.

# space PATH...: send what df says of each, as text under df and inodes. The nearest parent answers
# for what does not exist.
space() {
  count=$#
  for place; do
    while [ ! -e "$place" ]; do place=${place%/*}; place=${place:-/}; done
    set -- "$@" "$place"
  done
  shift "$count"
  for what in df:-k inodes:-i; do
    captured limited 10 df -P "${what#*:}" "$@"
    if [ "$status" = 0 ]; then said "${what%:*}" "$output"; else unreadable "${what%:*}"; fi
  done
}
