# shellcheck shell=sh
# What is there is kept, and what undoes the change is on disk: from here on it can be undone.

lines='@NOTE_BEGINS@'$nl
@KEEP@
program_keep || fail "cannot keep what is there now: nothing was changed"
printf '%s\n' @EXPLAINED@ >"$change/what"
systemctl show -p MainPID "$unit" >"$change/daemon" || fail "$unit is not known: nothing was changed"
# shellcheck disable=SC2015  # the last is for either failure
stage "$change/back.sh" @BACK_SUM@ "$content_@BACK@" && place "$change/back.sh" ||
  fail "cannot write $change/back.sh: nothing was changed"
if [ "$lines" != "@NOTE_BEGINS@$nl" ]; then
  # shellcheck disable=SC2015  # the last is for either failure
  staging "$note" && printf '%s%s\n' "$lines" @NOTE_ENDS@ >"$temp" && place "$note" &&
    is_whole || { forget; fail "cannot write $note: nothing was changed"; }
fi
