# shellcheck shell=sh
# Replace a runtime's configuration files, all or none: see swap() of config_swap.py.

note=@NOTE@
needs @PROGRAMS@
[ ! -e "$note" ] || fail "another run's change was interrupted ($note): run again"
@STAGE@
lines='@NOTE_BEGINS@'$nl
@KEEP@
# shellcheck disable=SC2015  # the last is for either failure
staging "$note" && printf '%s%s\n' "$lines" @NOTE_ENDS@ >"$temp" && place "$note" &&
  is_whole || { forget; fail "cannot write $note: nothing was changed"; }
@PUT@
why=$(told check @MAIN@)@PROOF@ || {
  revert
  fail "@DAEMON@ refuses the new configuration; $outcome: $why"
}
