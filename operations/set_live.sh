# shellcheck shell=sh
# Set sysctls, read back what the kernel made of them, and end where that failed.

needs cat tee
set -f; failed=0
# value_of PATH: a value with every run of white space as one blank
# shellcheck disable=SC2046  # split on purpose
value_of() { set -- $(cat "$1"); printf %s "$*"; }
apply() {
  if [ "$(value_of "$2")" = "$3" ]; then return; fi
  if ! error=$(printf '%s\n' "$3" | LC_ALL=C tee "$2" 2>&1 >/dev/null); then
    say "cannot set $1 to $3: ${error##*: }"; failed=1; return
  fi
  if [ "$(value_of "$2")" != "$3" ]; then
    say "set $1 to $3, and the kernel made $(value_of "$2") of it"; failed=1
  fi
}
@APPLY@
set +f
[ "$failed" = 0 ] || exit 1
