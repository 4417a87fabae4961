# shellcheck shell=sh
# The runtime that kubelet uses, as program_functions.sh changes it and undoes that: $stopped_units
# and $left_sockets are those of the old one, which goes last: kubelet serves by the new one then, so
# that at each step one runtime serves that kubelet points at. $enabled_again are the new one's.

old_one='the old runtime'
# program_is_there: kubelet was healthy with the new one. Only then the old one may stop: one that is
# healthy still, before anything was changed, is no proof of that.
program_is_there() { [ -e "$change/changed-over" ]; }
# was_healthy: before the change; where nothing here can ask, kubelet runs
was_healthy() {
  answer=$(told ask_health)
  asked=$?
  if [ "$asked" = 2 ] || [ -z "$health_address" ]; then systemctl -q is-active "$unit"
  else [ "$answer" = ok ] && is_roots_port; fi
}
# program_keep: what the old units were, and kubelet
program_keep() {
  : >"$change/units" || return 1
  for each in $stopped_units; do
    was=$(systemctl show -p ActiveState "$each"); was=${was#ActiveState=}
    starts=$(systemctl is-enabled "$each" 2>/dev/null)
    # what is not known could not be put back
    [ "$was" ] && [ "$starts" ] || { say "systemctl does not say what $each is"; return 1; }
    printf '%s %s %s\n' "$each" "$was" "$starts" >>"$change/units" || return 1
  done
  if [ "$restarts" ] && was_healthy; then echo healthy
  else systemctl show -p ActiveState "$unit"; fi >"$change/kubelet"
  sync_file "$change/kubelet" && sync_file "$change/units"
}
program_switch() { limited @STOP_SECONDS@ systemctl stop "$unit" 9>&-; }
stop_for_good() { systemctl -q disable "$@" && limited @STOP_SECONDS@ systemctl stop "$@" 9>&-; }
# note_disabled: the list of what was enabled before a change has disabled it
note_disabled() {
  # shellcheck disable=SC2086  # a unit a line
  ours=$(printf '%s\n' $enabled_again $stopped_units)
  lines=$(
    if [ -e @DISABLED@ ]; then grep -Fxv "$ours" @DISABLED@; fi
    while read -r each was starts; do
      case $starts in enabled) echo "$each";; esac
    done <"$change/units"
  )
  if [ -z "$lines" ]; then rm -f @DISABLED@; return; fi
  staging @DISABLED@ && printf '%s\n' "$lines" >"$temp" && chmod 0644 "$temp" && place @DISABLED@
}
# program_hold: the new one's units are enabled as they were; the old one stops, and no boot starts it
program_hold() {
  for each in $enabled_again; do
    why=$(systemctl -q enable "$each" 2>&1) || say "$each is not enabled again: $why"
  done
  # shellcheck disable=SC2086  # split on purpose
  [ -z "$stopped_units" ] || {
    why=$(told stop_for_good $stopped_units) ||
      fail "kubelet uses @NEW@, and the old runtime cannot be stopped and disabled: $why"
    systemctl reset-failed $stopped_units 2>/dev/null
  }
  for each in $left_sockets; do
    if [ -S "$each" ]; then rm -f "$each"; fi
  done
  note_disabled || fail "kubelet uses @NEW@, and @DISABLED@ cannot be written"
}
# program_back: the old one runs, and starts at boot, as it did
program_back() {
  while read -r each was starts; do
    case $starts in enabled) systemctl -q enable "$each" || return 1;; esac
    case $was in
      active | activating | reloading)
        systemctl reset-failed "$each" 2>/dev/null
        limited @STOP_SECONDS@ systemctl start "$each" 9>&- || return 1;;
    esac
  done <"$change/units"
  read -r was <"$change/kubelet" 2>/dev/null
  # one that was not healthy before is not waited for
  case ${was:-healthy} in
    healthy) ;;
    ActiveState=inactive | ActiveState=failed) limited @STOP_SECONDS@ systemctl stop "$unit" 9>&-; restarts=;;
    *) systemctl --no-block restart "$unit"; restarts=;;
  esac
}
