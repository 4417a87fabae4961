# shellcheck shell=sh
# Run a command once nobody else changes packages.

wait_for_packages() {
  holder
  while [ -n "$holder" ]; do
    [ "$said" = "$holder" ] || say "waits for process $holder, which changes packages"
    said=$holder
    [ "$waited" -lt @WAIT_SECONDS@ ] ||
      fail "process $holder has changed packages for @WAIT_SECONDS@ s: run again when it has ended"
    sleep 1
    waited=$((waited + 1))
    holder
  done
}
# patiently COMMAND...: once nobody else changes packages; again when somebody was faster
patiently() {
  waited=0; said=
  while :; do
    wait_for_packages
    { error=$("$@" 2>&1 >&3 3>&-); status=$?; } 3>&1
    [ -z "$error" ] || say "$error"
    [ "$status" != 0 ] || return 0
    case $error in
      *'ould not get lock'* | *'nable to lock'* | *'nable to acquire'*' lock'* | \
        *'locked by another process'* | *"an't create transaction lock"*) ;;
      *) return "$status";;
    esac
    [ "$waited" -lt @WAIT_SECONDS@ ] || return "$status"
    sleep 1
    waited=$((waited + 1))
  done
}
