# shellcheck shell=sh
# Replace configuration files of containerd, all or none: see swap() of config_swap.py.

note=@NOTE@
needs ctr grep head readlink tail
[ ! -e "$note" ] || fail "another run's change was interrupted ($note): run again"
@STAGE@
lines='@NOTE_BEGINS@'$nl
@KEEP@
# shellcheck disable=SC2015  # the last is for either failure
staging "$note" && printf '%s%s\n' "$lines" @NOTE_ENDS@ >"$temp" && place "$note" &&
  is_whole || { forget; fail "cannot write $note: nothing was changed"; }
@PUT@
why=$(dump @MAIN@) || {
  revert
  fail "containerd refuses the new configuration; $outcome: $why"
}
