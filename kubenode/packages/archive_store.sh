# shellcheck shell=sh
# Where archives wait on a host until they are unpacked: $archive_store, each named by its sha256.

# open_store: make it, for root alone
open_store() {
  make_directory "${archive_store%/*}" || return 1
  [ -d "$archive_store" ] || mkdir -m 0700 "$archive_store" || return 1
  # shellcheck disable=SC3067  # dash, bash and busybox have -O
  if [ -L "$archive_store" ] || [ ! -O "$archive_store" ]; then
    say "$archive_store is not a directory of root's: remove it"; return 1
  fi
  chmod 0700 "$archive_store"
}
# clear_store SUM...: what else is there goes, so that it never has more than one build
clear_store() {
  for left in "$archive_store"/* "$archive_store"/.*.kubenode.[0-9]*; do
    name=${left##*/}
    case " $* " in *" ${name%.sent} "*) continue;; esac
    if [ -f "$left" ] || [ -L "$left" ]; then rm -f -- "$left"; fi
  done
}
# has_stored SUM: whether it is there, whole
has_stored() { [ ! -L "$archive_store/$1" ] && [ "$(sum_of "$archive_store/$1")" = "$1" ]; }
# accept SUM: what the control machine has sent becomes the file, when it is whole
accept() {
  if has_stored "$1"; then rm -f "$archive_store/$1.sent"; return 0; fi
  if [ -L "$archive_store/$1.sent" ] || [ "$(sum_of "$archive_store/$1.sent")" != "$1" ]; then
    rm -f "$archive_store/$1.sent"
    fail "$2 did not arrive whole from the control machine: nothing was changed, run again;" \
      "$(room "$archive_store")"
  fi
  sent=$archive_store/$1.sent
  # shellcheck disable=SC2015  # the last is for either failure
  chown "$(id -u):$(id -g)" "$sent" && chmod 0600 "$sent" && sync_file "$sent" &&
    mv -f "$sent" "$archive_store/$1" && sync_directory "$archive_store" ||
    fail "cannot keep $2 in $archive_store: nothing was changed"
}
# room PATH: what is free there, in words
room() {
  # shellcheck disable=SC2046  # split on purpose
  set -- "$1" $(df -Pk "$1" 2>/dev/null | tail -n 1)
  printf '%s\n' "$1 has ${5:-an unknown number of} KiB free"
}
