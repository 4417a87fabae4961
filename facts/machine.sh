# shellcheck shell=sh
# The machine probe: memory, space, programs.

read -r name memory _ </proc/meminfo && [ "$name" = MemTotal: ] && value memory "$memory"
value uname "$(uname -rm)"
set --
for place in @DIRECTORIES@; do
  while [ ! -e "$place" ]; do place=${place%/*}; place=${place:-/}; done
  set -- "$@" "$place"
done
for what in df:-k inodes:-i; do
  captured limited 10 df -P "${what#*:}" "$@"
  if [ "$status" = 0 ]; then said "${what%:*}" "$output"; else unreadable "${what%:*}"; fi
done
said programs "$(for name in @PROGRAMS@; do command -v "$name"; done)"
[ -e /run/systemd/timesync/synchronized ] && value clock synchronized
if [ -e /run/reboot-required ] || [ -e /var/run/reboot-required ]; then value reboot required; fi
