# shellcheck shell=sh
# Wait until CRI answers; cri_serves() is the runtime's own.

@LIMITED@
wait_for_cri() {
  waited=0
  until cri_serves; do
    [ "$waited" -lt "$1" ] || return 1
    sleep 1
    waited=$((waited + 1))
  done
}
last_words() {
  for each in ${units:-$unit}; do journalctl -u "$each" -n 5 --no-pager -o cat 2>/dev/null | cut -c1-300; done
}
