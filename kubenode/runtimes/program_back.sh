# shellcheck shell=sh
# What becomes of a change that was interrupted: it is on disk beside what it needs.

# once-ended PID START: nobody ends a change whose shell was killed but this, or the next run
if [ "${1-}" = once-ended ]; then
  while [ "$(started "$2")" = "$3" ]; do sleep 1; done
  [ -e "$change" ] || exit 0
  take_lock "kubenode on this host, which ends an interrupted change," @WAIT_SECONDS@
  # it may be another one by now; without its script it was not begun, or has come to its end
  if [ -e "$change/back.sh" ]; then sh "$change/back.sh"; else rm -rf "$change"; fi
elif is_done; then
  program_hold
  forget_change || fail "an interrupted change had come to its end, and $change cannot be removed"
  say 'an interrupted change had come to its end'
else
  go_back || fail "an interrupted change cannot be undone: $outcome"
  say "an interrupted change was undone: $outcome"
fi
