# shellcheck shell=sh
# Turn swap off now, with all else that swap.py wants of a host: under its lock, with limited().

swaps=/proc/swaps; meminfo=/proc/meminfo; margin=@MARGIN_KIB@
# in_use: sets $devices to what is on, as the kernel writes it, a line each, $names to the same for
# people, and $used to what is in it, in KiB
in_use() {
  devices=; names=; used=0
  while read -r device _ _ in_it _; do
    case $device in Filename) continue;; esac
    devices=$devices$device$nl; names=${names:+$names, }$device; used=$((used + in_it))
  done <"$swaps" || fail "cannot read $swaps: nothing was changed"
}
# fits: fail when what is in swap would not go into memory
fits() {
  in_use
  [ -n "$devices" ] || return 0
  needs swapoff
  [ "$used" -gt 0 ] || return 0
  available=
  while read -r key amount _; do
    case $key in MemAvailable:) available=$amount;; esac
  done <"$meminfo"
  [ -n "$available" ] && [ $((used + margin)) -le "$available" ] ||
    fail "what is in swap ($((used / 1024)) MiB) does not fit into memory any more" \
      "($((${available:-0} / 1024)) MiB available): nothing was changed"
}
# turn_off: swapoff all that is on
turn_off() {
  in_use
  [ -n "$devices" ] || return 0
  set --
  set -f; IFS=$nl
  for device in $devices; do
    # blanks are octal; the dot keeps a line end that would get lost
    device=$(printf '%b.' "$device"); set -- "$@" "${device%.}"
  done
  set +f; unset IFS
  said=$(told limited @SWAPOFF_SECONDS@ swapoff "$@"); status=$?
  in_use
  [ -n "$devices" ] || return 0
  case $status in
    124 | 137) why="swapoff did not end within @SWAPOFF_SECONDS@ s";;
    *) why="swapoff failed ($said)";;
  esac
  fail "$why: still on is $names; what turns it on at boot is off; run again, or reboot"
}
# stop UNIT...: those that are active
stop() {
  for unit; do
    case $(told limited 20 systemctl show -p ActiveState "$unit") in
      *=inactive | *=failed) continue;;
    esac
    limited 60 systemctl stop "$unit" >/dev/null ||
      fail "systemctl cannot stop $unit; what turns swap on at boot is off; run again, or reboot"
  done
}
# forget: systemd reads its units again, so that it knows none that are masked or gone
forget() {
  [ -d /run/systemd/system ] || return 0
  limited 60 systemctl daemon-reload >/dev/null ||
    fail "systemctl daemon-reload failed; swap is off, now and at boot"
}
# stays_off: fail when something has turned it on again
stays_off() {
  in_use
  [ -z "$devices" ] || fail "swap was turned on again: $names"
}
