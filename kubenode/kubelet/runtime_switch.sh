# shellcheck shell=sh
# Change over from one runtime to another: see switch() of runtime_switch.py.

needs base64 grep head readlink rm systemctl tail
@BEGIN@
new_serves || fail "@NEW@ does not serve CRI on @SOCKET@: nothing was changed"
@STAGE@
@NOTED@
[ -z "$restarts" ] || program_switch || { go_back; fail "kubelet cannot be stopped; $outcome"; }
@PUT@
bring_up || {
  words=$(last_words)
  go_back
  fail "kubelet did not come up with @NEW@; $outcome: $words"
}
: >"$change/changed-over" && sync_file "$change/changed-over"
program_hold
forget_change || fail "kubelet uses @NEW@, and $change cannot be removed"
