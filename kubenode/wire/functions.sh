# shellcheck shell=sh
# What a probe's script may call: see _SHELL_FUNCTIONS of probe.py for what each does.

nl='
'
# The soft limit only: what a program needs more, it gets back in limited().
# shellcheck disable=SC3045  # where it is missing there is no limit
memory=$(ulimit -S -v) && ulimit -S -v @MOST_MEMORY_KIB@
@SWEEP@
unreadable() { printf '%%unreadable %s\n' "$1"; }
value() {
  case $2 in
    *"$nl"*) unreadable "$1";;
    *) printf '%%value %s %s\n' "$1" "$2";;
  esac
}
empty() { printf '%%text %s\n%%done\n' "$1"; }
said() {
  printf '%%text %s\n' "$1"
  set -f; IFS=$nl
  # shellcheck disable=SC2086  # split on purpose
  printf '|%s\n' $2
  set +f; unset IFS
  printf '%%done\n'
}
absent() { printf '%%absent %s\n' "$1"; }
need() { command -v "$1" >/dev/null || { printf '%%missing %s\n' "$1"; return 1; }; }
@LIMITED@
captured() {
  output=$("$@")
  status=$?
  case $status in 124 | 137) status=late;; esac
}
# Short, and looked at only where it is whole: shells match a pattern in the square of its length.
captured_part() {
  output=$({ "$@"; printf '%s=%03d=' "$nl" $?; } | head -c @MOST_CAPTURED@)
  # shellcheck disable=SC2209  # a word, not what a program says
  status=cut
  [ "${#output}" -lt @LEAST_CUT@ ] || return 0
  case $output in
    *"$nl"=000=) status=0;;
    *"$nl"=124= | *"$nl"=137=) status=late;;
    *"$nl"=[0-9][0-9][0-9]=) status=1;;
    *) return 0;;
  esac
  output=${output%??????}
  output=${output%"$nl"}
}
# A name that cannot be a key would be taken for another one: its directory counts as unreadable.
is_key() {
  case $1 in
    *[!\ -~]* | *' ') set -- "${1%%[!\ -~]*}"; unreadable "${1%/*}"; return 1;;
  esac
}
# What does not show itself is absent only when the kernel says so: a directory on the way to it,
# or to where a link leads, may be closed.
says_absent() {
  case $1 in *': No such file or directory' | *': Not a directory') return 0;; esac
  return 1
}
is_absent() { says_absent "$(ls -dL -- "$1" 2>&1)"; }
not_there() { if is_absent "$1"; then absent "$1"; else unreadable "$1"; fi; }
# Files in /proc and /sys have size 0 and are small. 2048 blocks are 1 MiB.
is_small() {
  case $1 in /proc/* | /sys/*) return 0;; esac
  [ -z "$(find -L "$1" -prune -size +2048)" ]
}
readable_file() {
  is_key "$1" || return 1
  if [ -f "$1" ]; then
    is_small "$1" && return 0
    unreadable "$1"
  elif [ -c "$1" ]; then empty "$1"
  elif [ -e "$1" ]; then unreadable "$1"
  elif [ -L "$1" ] && is_absent "$1"; then empty "$1"
  else not_there "$1"; fi
  return 1
}
# walk PATH: add each name on the way to $ways, links followed one by one: where several lead on,
# each of them decides.
walk() {
  rest=${1#/}; real=; hops=0
  while [ -n "$rest" ]; do
    part=${rest%%/*}
    case $rest in */*) rest=${rest#*/};; *) rest=;; esac
    case $part in '' | .) continue;; ..) real=${real%/*}; continue;; esac
    ways=$ways$real/$part$nl
    if [ -L "$real/$part" ]; then
      hops=$((hops + 1)); target=$(readlink -- "$real/$part")
      case $hops:$target in
        40:* | *: | *[!\ -~]*) printf '%s leads nowhere\n' "$real/$part"; return 1;;
        *:/*) real=; rest=${target#/}/$rest;;
        *) rest=$target/$rest;;
      esac
    else real=$real/$part; fi
  done
}
distrust_of() {
  ways=/$nl
  for path in "$@"; do walk "$path" || return 0; done
  set -f; IFS=$nl
  # shellcheck disable=SC2086  # split on purpose
  set -- $ways
  ways=$(ls -ldn -- "$@")
  [ -n "$ways" ] || echo 'ls does not say to whom files belong'
  for line in $ways; do
    name=/${line#* /}; IFS=' '
    # shellcheck disable=SC2086  # split on purpose
    set -- $line
    case $3 in 0) ;; *) printf '%s belongs to uid %s\n' "${name%% -> *}" "$3"; return 0;; esac
    case $1:$4 in
      [lcbs]*) ;;
      # what is root's in a sticky directory only root can replace (/nix/store)
      d????w??-[tT]*) ;;
      ????????w*) printf '%s is writable by everybody\n' "$name"; return 0;;
      ?????w*+:* | ?????w*:*[!0]*) printf '%s is writable by group %s\n' "$name" "$4"; return 0;;
    esac
  done
}
# trusted PATH...: whether root alone decides what is at these paths: all that is on the way belongs
# to root, and only links, sockets and devices may be open to others. $distrust says what is not so.
trusted() { distrust=$(distrust_of "$@"); [ -z "$distrust" ]; }
distrusted() { unreadable "$1"; said "untrusted:$1" "$distrust"; }
# is_linked PATH: whether a link is on the way to it. Those of a merged /usr are none.
not_linked=$nl
is_linked() {
  case $1 in /proc/* | /sys/*) return 1;; esac
  if [ -L "$1" ]; then return 0; fi
  folder=${1%/*}
  case $not_linked in *"$nl$folder$nl"*) return 1;; esac
  while [ -n "$folder" ]; do
    case $folder in
      /lib | /lib64 | /bin | /sbin) ;;
      *) [ ! -L "$folder" ] || return 0;;
    esac
    folder=${folder%/*}
  done
  not_linked=$not_linked${1%/*}$nl
  return 1
}
# leads_astray PATH: whether it cannot be asked for: a link on the way leads where others than root
# decide, or it has no name that could be a key. That is said.
leads_astray() {
  is_key "$1" || return 0
  is_linked "$1" && ! trusted "$1" || return 1
  distrusted "$1"
}
# A directory in PATH that somebody else may write to would give root that one's programs.
usable_path() {
  usual=:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:; usable=
  stated=$KUBENODE_PATH; unset KUBENODE_PATH
  set -f; IFS=:
  # shellcheck disable=SC2086  # split on purpose
  set -- $stated
  set +f; unset IFS
  PATH=${usual#:}; PATH=${PATH%:}
  # not there: a host that has its programs elsewhere
  command -v ls >/dev/null || { PATH=$stated; return 0; }
  for place; do
    case $usual in *":$place:"*) usable=$usable$place:; continue;; esac
    case $place in /*) ! trusted "$place" || usable=$usable$place:;; esac
  done
  PATH=$usable$PATH
}
usable_path
# learn PATH...: of paths that something on the host names, those that may be read: $learned
learn() {
  learned=; trust=
  [ $# -lt 2 ] || ! trusted "$@" || trust=all
  for each in "$@"; do
    is_key "$each" || continue
    if [ -z "$trust" ] && ! trusted "$each"; then distrusted "$each"
    elif [ -e "$each" ] && [ ! -f "$each" ]; then unreadable "$each"
    else learned=$learned$each$nl; fi
  done
}
exact() {
  ! leads_astray "$1" || return 0
  readable_file "$1" || return 0
  printf '%%exact %s\n|' "$1"
  if base64 -w0 "$1"; then printf '\n%%done\n'; else printf '\n%%failed\n'; fi
}
files=; missing=; kernel_files=; links=; linked_files=
want() {
  is_key "$1" || return 0
  case $nl$files in *"$nl$1$nl"*) return 0;; esac
  if [ -f "$1" ]; then
    if is_linked "$1"; then linked_files=$linked_files$1$nl
    elif [ -r "$1" ]; then files=$files$1$nl; else unreadable "$1"; fi
  elif [ -e "$1" ] || [ -L "$1" ]; then exact "$1"
  elif leads_astray "$1"; then return 0
  else missing=$missing$1$nl; fi
}
want_kernel_file() {
  if [ -r "$1" ] && [ -f "$1" ]; then kernel_files=$kernel_files$1$nl
  elif [ -e "$1" ] || [ -L "$1" ]; then unreadable "$1"
  else missing=$missing$1$nl; fi
}
want_directory() {
  case $1 in /lib/*) if [ -L /lib ]; then printf '%%directory %s\n' "$1"; return 0; fi;; esac
  if [ ! -d "$1" ]; then
    if [ -e "$1" ]; then unreadable "$1"
    elif leads_astray "$1"; then return 0
    else missing=$missing$1$nl; fi
  elif [ ! -r "$1" ] || [ ! -x "$1" ]; then unreadable "$1"
  elif leads_astray "$1"; then return 0
  else
    for path in "$1"/*.conf; do
      if [ -d "$path" ] && [ ! -L "$path" ]; then continue; fi
      if [ -e "$path" ] || [ -L "$path" ]; then want "$path"; fi
      if [ -L "$path" ]; then links=$links$path$nl; fi
    done
    printf '%%directory %s\n' "$1"
  fi
}
send_missing() {
  count=0
  # shellcheck disable=SC2045  # what ls says of names, not names
  for line in $(ls -dL -- "$@" 2>&1 >/dev/null); do
    if says_absent "$line"; then count=$((count + 1)); fi
  done
  if [ "$count" = $# ]; then printf '%%absent %s\n' "$@"; return 0; fi
  for path in "$@"; do not_there "$path"; done
}
linked() {
  if [ -L "$1" ] && [ -f "$1" ] && is_key "$1"; then
    real=$(readlink -f -- "$1")
    if [ -n "$real" ]; then said "real:$1" "$real"; else unreadable "$1"; fi
  fi
}
send_links() { for path in "$@"; do linked "$path"; done; }
matching() {
  pattern=$1; shift
  found=$(grep -E -e "$pattern" -- /dev/null "$@")
  if [ $? -le 1 ]; then
    printf '%%lines'; printf ' %s' "$@"; printf '\n'
    set -f; IFS=$nl
    # shellcheck disable=SC2086  # split on purpose
    [ -z "$found" ] || printf '|%s\n' $found
    set +f; unset IFS
    printf '%%done\n'
    return
  fi
  for path in "$@"; do
    found=$(grep -E -e "$pattern" -- "$path")
    if [ $? -gt 1 ]; then unreadable "$path"; else said "$path" "$found"; fi
  done
}
# An empty file has no line to send, and nor has one that busybox's grep failed to read.
send_kernel_files() {
  found=$(grep -e '' -- /dev/null "$@")
  if [ $? -gt 1 ]; then for path in "$@"; do exact "$path"; done; return 0; fi
  sent=
  for path in "$@"; do
    case $nl$found in
      *"$nl$path:"*) sent="$sent $path";;
      *) exact "$path";;
    esac
  done
  [ -n "$sent" ] || return 0
  printf '%%lines%s\n' "$sent"
  # shellcheck disable=SC2086  # split on purpose
  printf '|%s\n' $found
  printf '%%done\n'
}
# Sizes first: what grew, shrank or could not be read in between makes the whole too long or short.
send_files() {
  sizes=; all=; total=0; left=$#
  for line in $(wc -c -- "$@"); do
    line=${line#"${line%%[! ]*}"}; size=${line%% *}; path=${line#* }
    case $path in /*) ;; *) continue;; esac
    case $size in '' | *[!0-9]*) left=-1; break;; esac
    left=$((left - 1))
    if [ "$size" -gt 1048576 ]; then unreadable "$path"; continue; fi
    sizes="$sizes|$size $path$nl"; all=$all$path$nl; total=$((total + size))
  done
  if [ "$left" = 0 ]; then
    [ -n "$all" ] || return 0
    # shellcheck disable=SC2086  # split on purpose
    bytes=$(cat -- $all | base64 -w0)
    # shellcheck disable=SC2017  # rounds up
    case $((total % 3))$bytes in
      0 | 0*[!=] | 1*[!=]== | 2*[!=]=) length=$(((total + 2) / 3 * 4));;
      *) length=;;
    esac
    if [ "$length" = ${#bytes} ]; then
      printf '%%files\n%s%%bytes\n|%s\n%%done\n' "$sizes" "$bytes"
      return 0
    fi
  else all=$*; fi
  for path in $all; do exact "$path"; done
}
# "systemctl show" has a paragraph for each unit, in the order of its arguments.
send_units() {
  need systemctl || return 0
  # shellcheck disable=SC2086  # split on purpose
  captured limited 10 systemctl show $1 $2
  # PID 1 has not answered for all of them
  case $status in late | cut) output=;; esac
  paragraphs=$output$nl$nl; shown_units=$2
  rest=$paragraphs
  for unit in $2; do
    paragraph=${rest%%"$nl$nl"*}; rest=${rest#*"$nl$nl"}
    case $nl$paragraph in
      *"$nl"LoadState=*) said "unit:$unit" "$paragraph";;
      *) unreadable "unit:$unit";;
    esac
  done
}
unit() {
  rest=$paragraphs; paragraph=
  for each in $shown_units; do
    paragraph=${rest%%"$nl$nl"*}; rest=${rest#*"$nl$nl"}
    [ "$each" != "$1" ] || break
    paragraph=
  done
}
# A link's target is read only where root alone decides what it is.
send_linked_files() {
  learn "$@"
  set -f; IFS=$nl
  for path in $learned; do
    case $nl$files in *"$nl$path$nl"*) continue;; esac
    if [ -r "$path" ]; then files=$files$path$nl; else unreadable "$path"; fi
  done
}
send_wanted() {
  for send in missing links linked_files kernel_files files; do
    set -f; IFS=$nl
    eval "set -- \$$send"
    [ $# = 0 ] || "send_$send" "$@"
  done
  set +f; unset IFS
}
paragraphs=; shown_units=
