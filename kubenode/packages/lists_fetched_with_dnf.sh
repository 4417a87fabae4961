# shellcheck shell=sh
# Fetch dnf's lists. Of a repository that it leaves out (skip_if_unavailable) it says so, and ends well.

run() {
  words=$(dnf -y makecache --refresh 2>&1); status=$?
  problems=$(printf '%s\n' "$words" | grep -E '^(Errors?|Ignoring|Failed to download|  - |>>> )')
  [ "$status" = 0 ] || problems=${problems:-$words}
  [ -z "$problems" ] || printf '%s\n' "$problems" | tail -n 20 >&2
  return "$status"
}
patiently run
