# shellcheck shell=sh
# Who holds apt's, dpkg's and rpm's locks.

# holder: set $holder to the process that has one of these locks, as "PID NAME". The
# kernel lists processes that hold any lock; who holds these has them open too, and is root. A
# container has files of the same names, which are others.
holder() {
  holder=; holders=
  [ -r /proc/locks ] || return 0
  while read -r _ kind _ mode pid _; do
    case $kind:$mode:$pid in
      *[!0-9]) continue;;
      POSIX:WRITE:[1-9]*)
        # others may have as many as they like
        # shellcheck disable=SC3067  # dash, bash and busybox have -O
        if [ -O "/proc/$pid" ] && [ "${#holders}" -lt 4096 ]; then
          holders="$holders /proc/$pid/fd"
        fi;;
    esac
  done </proc/locks
  [ -n "$holders" ] || return 0
  pid=
  # no here-document: some shells write a file for it
  set -f; IFS=$nl
  # shellcheck disable=SC2046,SC2086  # split on purpose
  set -- $(set +f; unset IFS; ls -l /dev/null $holders 2>/dev/null)
  set +f; unset IFS
  for line; do
    case $line in
      /proc/*/fd:) pid=${line#/proc/}; pid=${pid%/fd:};;
      @LOCKS@)
        file=${line%% -> *}; file=/proc/$pid/fd/${file##* }
        [ "$file" -ef "${line#* -> }" ] || continue
        name=; { read -r name <"/proc/$pid/comm"; } 2>/dev/null
        holder="$pid ${name:-unknown}"
        return 0;;
    esac
  done
}
