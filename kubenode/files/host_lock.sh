# shellcheck shell=sh
# The host's lock, and what comes on standard input. $locks is its directory.

needs() {
  for program; do
    command -v "$program" >/dev/null || fail "$program is missing on this host: nothing was changed"
  done
}
# receive: the next content of standard input, base64 with a dot behind it, becomes $received. It
# does not come as an argument: arguments are short, and every user of the host can read them.
receive() {
  received=
  while IFS= read -r line; do
    case $line in .) return 0;; esac
    received=$received$line
  done
  fail 'what was sent did not arrive whole: nothing was changed'
}
# started PID: when it was, in the kernel's ticks since the boot, which tells it from a later one
started() {
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  # shellcheck disable=SC2086  # split on purpose
  set -- ${stat##*)}
  shift 19
  printf '%s\n' "$1"
}
# is_stale LOCK: whether the process that made it has ended
is_stale() {
  { read -r its_boot its_pid its_start <"$1"; } 2>/dev/null || return 1
  [ "$its_boot" != "$boot" ] || [ "$(started "$its_pid")" != "$its_start" ]
}
# Only one at a time takes over what nobody holds: a second one could remove the first one's lock.
take_over() {
  if ln "$locks/run.$$" "$locks/takeover" 2>/dev/null; then
    if is_stale "$locks/held"; then rm -f "$locks/held"; fi
    for other in "$locks"/run.*; do
      if is_stale "$other"; then rm -f "$other"; fi
    done
    rm -f "$locks/takeover"
  elif is_stale "$locks/takeover"; then rm -f "$locks/takeover"
  else sleep 1; fi
}
wait_for_lock() {
  owner=; { read -r owner <"$locks/owner"; } 2>/dev/null
  [ "$waited" -gt 0 ] || say "waits for another run on this host: ${owner:-unknown}"
  [ "$waited" -lt "$1" ] ||
    fail "another run has changed this host for $1 s (${owner:-unknown}): nothing was changed," \
      "run again when it has ended"
  sleep 1
  waited=$((waited + 1))
}
# take_lock OWNER SECONDS
take_lock() {
  trap ended EXIT
  trap 'exit 143' INT TERM
  mkdir -m 0700 "$locks" 2>/dev/null
  # shellcheck disable=SC2046  # split on purpose
  set -- "$1" "$2" $(ls -ldn "$locks" 2>/dev/null)
  case ${3-}:${5-} in
    drwx------*:"$(id -u)") ;;
    *) fail "$locks is not a directory for root alone (mode 0700): run as root, or remove it";;
  esac
  waited=0
  if command -v flock >/dev/null; then
    exec 9>>"$locks/lock"
    until flock -n 9; do wait_for_lock "$2"; done
  else
    boot=; { read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
    printf '%s\n' "${boot:=unknown} $$ $(started $$)" >"$locks/run.$$"
    until ln "$locks/run.$$" "$locks/held" 2>/dev/null; do
      if is_stale "$locks/held"; then take_over; else wait_for_lock "$2"; fi
    done
    has_link=yes
  fi
  printf '%s\n' "$1 since $(date -u +%Y-%m-%dT%H:%M:%SZ), pid $$" >"$locks/owner"
  # A connection that breaks must not stop what follows half-way.
  trap '' HUP PIPE
}
staged=; has_link=
ended() {
  status=$?
  IFS=$nl; set -f
  # shellcheck disable=SC2086  # split on purpose
  [ -z "$staged" ] || rm -f -- $staged
  if [ "$has_link" ]; then rm -f "$locks/held"; fi
  rm -f "$locks/run.$$"
  exit "$status"
}
