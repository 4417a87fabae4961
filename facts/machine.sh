# shellcheck shell=sh
# The machine probe: memory, space, programs.

read -r name memory _ </proc/meminfo && [ "$name" = MemTotal: ] && value memory "$memory"
value uname "$(uname -rm)"
space @DIRECTORIES@
said programs "$(for name in @PROGRAMS@; do command -v "$name"; done)"
[ -e /run/systemd/timesync/synchronized ] && value clock synchronized
if [ -e /run/reboot-required ] || [ -e /var/run/reboot-required ]; then value reboot required; fi
