# shellcheck shell=sh
# Where containerd keeps its images, and how much space is there.

data_root_space() {
  walk "$1"
  place=$real
  while [ ! -e "${place:=/}" ]; do
    if ! is_absent "$place"; then unreadable "$1"; return 0; fi
    place=${place%/*}
  done
  space "$place"
  above=
  while read -r device point kind options; do
    case ${place%/}/ in "${point%/}"/*) above=$above$device' '$point' '$kind' '$options$nl;; esac
  done </proc/self/mounts
  said mounts_above "$above"
}
