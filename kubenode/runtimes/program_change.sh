# shellcheck shell=sh
# Change a runtime's program, and its configuration files with it: see change() of program_change.py.

needs base64 grep head readlink rm systemctl tail
[ ! -e "$change/back.sh" ] || fail "another run's change was interrupted ($change): run again"
[ ! -e "$note" ] || fail "another run's change was interrupted ($note): run again"
if [ "$restarts" ] && [ "$(systemctl show -p LoadState "$unit")" = LoadState=masked ]; then
  fail "$unit is masked, and runs: systemctl unmask it, or stop it; nothing was changed"
fi
rm -rf "$change"
# shellcheck disable=SC2015  # the last is for either failure
make_directory "${change%/*}" && mkdir -m 0711 "$change" ||
  fail "cannot make $change: nothing was changed"
printf %s "$content_@BACK@" | base64 -d >"$change/ended.sh" ||
  { rm -rf "$change"; fail "cannot write to $change: nothing was changed"; }
watch_over
# what was not begun leaves nothing
trap 'status=$?; [ -e "$change/back.sh" ] || rm -rf "$change"; (exit "$status"); ended' EXIT
program_expected || fail "@WHAT@ was changed meanwhile: nothing was changed by this run, run again"
program_fetch || fail "@WHAT@ cannot be had: nothing was changed"
# by what is new, which is not in PATH yet
# shellcheck disable=SC2030
why=$(PATH=$candidate:$PATH; program_runs 2>&1) ||
  fail "the new @DAEMON@ does not run on this host, nothing was changed: $why"
@STAGE@
main=${main_staged:-@MAIN@}
# shellcheck disable=SC2031
why=$(PATH=$candidate:$PATH; [ ! -e "$main" ] || check "$main") ||
  fail "the new @DAEMON@ refuses @MAIN@, nothing was changed: $why"
lines='@NOTE_BEGINS@'$nl
@KEEP@
program_keep || fail "cannot keep the old program: nothing was changed"
printf '%s\n' @EXPLAINED@ >"$change/what"
# shellcheck disable=SC2015  # the last is for either failure
stage "$change/back.sh" @BACK_SUM@ "$content_@BACK@" && place "$change/back.sh" ||
  fail "cannot write $change/back.sh: nothing was changed"
if [ "$lines" != "@NOTE_BEGINS@$nl" ]; then
  # shellcheck disable=SC2015  # the last is for either failure
  staging "$note" && printf '%s%s\n' "$lines" @NOTE_ENDS@ >"$temp" && place "$note" &&
    is_whole || { forget; fail "cannot write $note: nothing was changed"; }
fi
program_switch || { go_back; fail "@WHAT@ could not be installed; $outcome"; }
@PUT@
bring_up || {
  words=$(last_words)
  go_back
  fail "the new @DAEMON@ did not come up; $outcome: $words"
}
program_hold || say "@WHAT@ runs, and could not be held: upgrades may change it"
forget_change || fail "@WHAT@ runs, and $change cannot be removed"
