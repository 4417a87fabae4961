# shellcheck shell=sh
# Whether CRI-O takes its registries: it says so in its log alone, once it has been told to reload.

# check FILE: the one that is in place, by a daemon that runs; all others were checked before
check() {
  [ "$1" = @FILE@ ] || return 0
  systemctl -q is-active "$unit" || return 0
  since=$(date +%s)
  systemctl reload "$unit" || return 1
  waited=0
  while [ "$waited" -lt 3 ]; do
    sleep 1
    waited=$((waited + 1))
    words=$(journalctl -u "$unit" --since "@$since" -o cat --no-pager 2>/dev/null |
      grep 'Unable to reload configuration') || continue
    printf '%s\n' "$words" | tail -n 1 | cut -c1-400
    return 1
  done
}
