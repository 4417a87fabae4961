# shellcheck shell=sh
# Change files whole or not at all, under the host's lock.

needs base64 cat chmod chown cp id mkdir mv rm sha256sum stat sync
# sync takes files since coreutils 8.24; older ones and some of busybox sync all, or refuse.
if sync "$locks" 2>/dev/null; then sync_file() { sync "$1"; }
else sync_file() { sync; }; fi
# A few file systems cannot sync a directory by itself.
sync_directory() {
  unsynced=$(sync_file "${1:-/}" 2>&1) && return 0
  case $unsynced in
    *'Invalid argument'* | *'ot supported'*) sync;;
    *) say "$unsynced"; return 1;;
  esac
}
# make_directory PATH: with those above it; a mode of its own, whatever the umask
make_directory() {
  if [ -d "${1:-/}" ]; then return 0; fi
  make_directory "${1%/*}" && mkdir -m 0755 "$1" && sync_directory "${1%/*}"
}
# sum_of FILE: sha256 of what is in it, "-" when that is nothing: no file, an empty one, a device
sum_of() {
  if [ -f "$1" ] && [ -s "$1" ]; then
    sum=$(sha256sum <"$1") || return 1
    printf '%s\n' "${sum%% *}"
  else echo -; fi
}
temp_of() { temp=${1%/*}/.${1##*/}.kubenode.$$; }
# What an interrupted run left staged goes: whoever holds the lock is the only one who stages.
staging() {
  make_directory "${1%/*}" || return 1
  case $(stat -c %A "${1%/*}/") in
    ????????w*) say "all users may change what is in ${1%/*}: chmod o-w it"; return 1;;
  esac
  temp_of "$1"
  for left in "${1%/*}"/.*.kubenode "${1%/*}"/.*.kubenode.[0-9]*; do
    case $nl$staged in *"$nl$left$nl"*) continue;; esac
    # shellcheck disable=SC3067  # dash, bash and busybox have -O
    if [ -f "$left" ] && [ ! -L "$left" ] && [ -O "$left" ]; then rm -f "$left"; fi
  done
  staged=$staged$temp$nl
  # a new file for sure, and nobody else's to read before it is in place
  (set -C; umask 077; : >"$temp")
}
# expect FILE SUM: fail when it is not what the plan was made from
expect() {
  if [ -d "$1" ] || { [ -e "$1" ] && [ ! -f "$1" ] && [ ! -L "$1" ]; }; then
    fail "$1 is no file: nothing was changed"
  fi
  now=$(sum_of "$1") || fail "cannot read $1: nothing was changed"
  [ "$now" = "$2" ] || fail "$1 was changed meanwhile: nothing was changed by this run, run again"
}
# stage FILE SUM BASE64: put new content beside the file
stage() {
  staging "$1" || return 1
  printf %s "$3" | base64 -d >"$temp"
  [ "$(sum_of "$temp")" = "$2" ] && sync_file "$temp"
}
# stage_copy FROM FILE SUM [private]: put a copy of another file beside it; one for root alone keeps
# the mode that staging gave it
stage_copy() {
  staging "$2" || return 1
  if [ "${4-}" ]; then cat "$1" >"$temp" || return 1
  else cp -p "$1" "$temp" || return 1; fi
  [ "$(sum_of "$temp")" = "$3" ]
}
# place FILE: what was staged becomes the file
place() {
  temp_of "$1"
  sync_file "$temp" && mv -f "$temp" "$1" && sync_directory "${1%/*}"
}
# commit FILE SUM [private]: the same with the file's owner and mode, when it is still what was
# expected
commit() {
  temp_of "$1"
  if [ -d "$1" ] || [ "$(sum_of "$1")" != "$2" ]; then
    say "$1 was changed meanwhile: run again"; return 1
  fi
  if [ "${3-}" ]; then chmod 0600 "$temp" || return 1
  elif [ -f "$1" ] && [ ! -L "$1" ]; then
    chown "$(stat -c %u:%g "$1")" "$temp" && chmod "$(stat -c %a "$1")" "$temp" || return 1
  else
    chown "$(id -u):$(id -g)" "$temp" && chmod 0644 "$temp" || return 1
  fi
  place "$1"
}
# remove FILE SUM
remove() {
  if [ "$(sum_of "$1")" != "$2" ]; then say "$1 was changed meanwhile: run again"; return 1; fi
  rm -f "$1" && sync_directory "${1%/*}"
}
# keep FILE [private]: what is in it stays beside it, in $backup; empty when there is nothing to keep
keep() {
  backup=; last=0; count=0; oldest=
  if [ ! -f "$1" ] || [ ! -s "$1" ]; then return 0; fi
  kept=$(sum_of "$1") || return 1
  for old in "$1@BACKUP_SUFFIX@" "$1@BACKUP_SUFFIX@".[1-9]*; do
    if [ -f "$old" ] && [ ! -L "$old" ] && [ "$(sum_of "$old")" = "$kept" ]; then
      backup=$old
      if [ "${2-}" ]; then chown "$(id -u):$(id -g)" "$old" && chmod 0600 "$old" || return 1; fi
      sync_file "$old" && sync_directory "${old%/*}"
      return
    fi
    number=${old#"$1@BACKUP_SUFFIX@"}; number=${number#.}
    case $number in '' | *[!0-9]* | ??????????*) continue;; esac
    count=$((count + 1))
    if [ "$number" -gt "$last" ]; then last=$number; fi
    if [ "$number" -lt "${oldest:-$number}" ]; then oldest=$number; fi
    oldest=${oldest:-$number}
  done
  backup=$1@BACKUP_SUFFIX@
  if [ -s "$backup" ] || [ -L "$backup" ]; then backup=$backup.$((last + 1)); fi
  stage_copy "$1" "$backup" "$kept" "${2-}" && place "$backup" || return 1
  if [ "$count" -ge @BACKUPS@ ] && [ "$backup" != "$1@BACKUP_SUFFIX@" ]; then
    rm -f "$1@BACKUP_SUFFIX@.$oldest"
  fi
}
# point LINK TARGET: a link leads there, in one step
point() {
  if [ -L "$1" ] && [ "$(readlink "$1")" = "$2" ]; then return 0; fi
  make_directory "${1%/*}" || return 1
  temp_of "$1"
  staged=$staged$temp$nl
  rm -f "$temp"
  ln -s "$2" "$temp" && mv -fT "$temp" "$1" && sync_directory "${1%/*}"
}
# as_it_was FILE SUM: say what is, after something failed
as_it_was() {
  if [ "$(sum_of "$1")" = "$2" ]; then echo "it is as it was"
  else echo "it is not as it was; that is in ${3:-no backup, there was nothing}"; fi
}
