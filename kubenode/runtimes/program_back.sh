# shellcheck shell=sh
# What becomes of a change that was interrupted: it is on disk beside what it needs.

if is_done; then
  program_hold
  forget_change || fail "an interrupted change had come to its end, and $change cannot be removed"
  say 'an interrupted change had come to its end'
else
  go_back || fail "an interrupted change cannot be undone: $outcome"
  say "an interrupted change was undone: $outcome"
fi
