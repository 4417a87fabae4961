# shellcheck shell=sh
# Change a runtime's program, and its configuration files with it: see change() of program_change.py.

needs base64 grep head readlink rm systemctl tail
@BEGIN@
program_expected || fail "@WHAT@ was changed meanwhile: nothing was changed by this run, run again"
program_fetch || fail "@WHAT@ cannot be had: nothing was changed"
# by what is new, which is not in PATH yet
# shellcheck disable=SC2030
why=$(PATH=$candidate:$PATH; told program_runs) ||
  fail "the new @DAEMON@ does not run on this host, nothing was changed: $why"
@STAGE@
main=${main_staged:-@MAIN@}
# shellcheck disable=SC2031
why=$(PATH=$candidate:$PATH; [ ! -e "$main" ] || told check "$main") ||
  fail "the new @DAEMON@ refuses @MAIN@, nothing was changed: $why"
@NOTED@
program_switch || { go_back; fail "@WHAT@ could not be installed; $outcome"; }
@PUT@
bring_up || {
  words=$(last_words)
  go_back
  fail "the new @DAEMON@ did not come up; $outcome: $words"
}
not_held=
# somebody may have ended the first try
program_hold || program_hold || not_held=yes
forget_change || fail "@WHAT@ runs, and $change cannot be removed"
[ -z "$not_held" ] || fail "@WHAT@ runs, and could not be held: upgrades may change it, run again"
