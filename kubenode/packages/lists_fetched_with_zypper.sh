# shellcheck shell=sh
# Fetch zypper's lists as far as its repositories answer.

run() {
  words=$(zypper --non-interactive refresh 2>&1) && return
  printf '%s\n' "$words" | tail -n 20 >&2
  return 1
}
patiently run || say 'zypper refresh failed in part: correct or remove the repository that is named' \
  'above. What is wanted can be installed without it.'
