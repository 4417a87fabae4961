# shellcheck shell=sh
# A change that can be undone begins: no other one is under way, and $change is an empty directory.

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
