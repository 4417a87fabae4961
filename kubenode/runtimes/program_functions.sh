# shellcheck shell=sh
# Change a runtime's program, and undo it: program_back(), program_is_there() and cri_serves() are
# given. $change is the directory for it, $unit the daemon's, $note that of its configuration files;
# $is_enabled, $is_masked and $restarts are what was before.

# bring_up: start what is there now
bring_up() {
  systemctl daemon-reload
  # a package that is removed leaves a mask behind
  if [ -z "$is_masked" ] && [ "$(readlink "/etc/systemd/system/$unit")" = /dev/null ]; then
    systemctl -q unmask "$unit"
  fi
  [ -z "$is_enabled" ] || systemctl -q enable "$unit"
  [ "$restarts" ] || return 0
  # units that are restarted with it are words, and have a limit of starts too
  # shellcheck disable=SC2086
  systemctl reset-failed ${units:-$unit} 2>/dev/null
  # a unit may have no limit of its own. It is without the lock: where this shell is killed meanwhile,
  # whoever ends the change need not wait for a start that hangs.
  # shellcheck disable=SC2086
  limited @RESTART_SECONDS@ systemctl restart ${units:-$unit} 9>&- && wait_for_cri @CRI_WAIT_SECONDS@ && runs_what_is_there
}
# runs_what_is_there: whether the daemon that runs is the program that is there
runs_what_is_there() {
  pid=$(systemctl show -p MainPID "$unit"); pid=${pid#MainPID=}
  case $(readlink "/proc/$pid/exe") in '' | *' (deleted)') return 1;; esac
}
# watch_over: a unit of its own ends the change when this shell is killed, with all of its session,
# and removes what was fetched for one that was not begun; without it the next run does. It ends with
# this shell.
watch_over() {
  command -v systemd-run >/dev/null || return 0
  # a change may be over before its watch has begun: that is not a unit that failed
  # shellcheck disable=SC2016  # for the other shell
  systemd-run --quiet --unit="kubenode-change-$$" --description="end of a change by kubenode" \
    sh -c 'script=$(cat "$0" 2>/dev/null) || exit 0; exec sh -c "$script" "$0" "$@"' \
    "$change/ended.sh" once-ended "$$" "$(started "$$")" >/dev/null 2>&1 9>&- || :
}
# is_new NEW OLD SUFFIX FILE
is_new() { target_of "$4" && [ "$(sum_of "$target")" = "$1" ]; }
# is_another: whether the daemon was restarted: one that ran before the change is no proof of it
is_another() { [ "$(systemctl show -p MainPID "$unit")" != "$(cat "$change/daemon")" ]; }
is_done() {
  [ -z "$restarts" ] || cri_serves || return 1
  program_is_there && { [ ! -e "$note" ] || { is_whole && each_noted is_new; }; } &&
    { [ -z "$restarts" ] || { is_another && runs_what_is_there; }; }
}
# forget_change: it is proven, or undone
forget_change() {
  # the way back goes when all is on disk: neither rpm nor systemctl syncs what it writes
  sync
  if [ -e "$note" ]; then forget || return 1; fi
  rm -f "$change/back.sh" && sync_directory "$change" && rm -rf "$change"
}
# go_back: what was there before comes back, wherever the change was stopped; $outcome is what is now
go_back() {
  program_outcome="${old_one:-the old program} is back"
  program_back 2>"$change/why" ||
    program_outcome="${old_one:-the old program} is NOT back ($(tail -n 3 "$change/why")), what is left of it is in $change"
  outcome=
  if [ -e "$note" ]; then revert; fi
  outcome="$program_outcome${outcome:+; $outcome}"
  bring_up || {
    outcome="$outcome; it does not come up: $(last_words)"
    return 1
  }
  case $program_outcome in *' NOT '*) return 1;; esac
  forget_change
  [ -z "$restarts" ] || outcome="$outcome, and serves again"
}
