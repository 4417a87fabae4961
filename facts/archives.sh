# shellcheck shell=sh
# The archives probe: what is unpacked of releases, what is in use of them, and what a build needs.

captured uname -m; value machine "$output"
# The C library: what programs are loaded by, and what it calls itself.
loader=
for path in /lib/ld-musl-*.so.1; do
  [ ! -e "$path" ] || loader=$path
done
glibc=
if command -v getconf >/dev/null; then
  captured limited 10 getconf GNU_LIBC_VERSION
  case $status:$output in 0:'glibc '*) glibc=${output#glibc };; esac
fi
if [ -z "$glibc" ] && command -v ldd >/dev/null; then
  captured_part limited 10 ldd --version
  line=${output%%"$nl"*}
  case $line in
    ldd*'('*') '[0-9]*) glibc=${line##* };;
  esac
fi
value musl "$loader"
value glibc "$glibc"

# check_sums DIRECTORY: whether all files of a build are as it says
check_sums() {
  (cd "$1" && grep -Fxv @SUMS_END@ @SUMS@ | limited 20 sha256sum -c 2>&1)
}
root=@ROOT@
builds=; sums=
if [ ! -e "$root" ]; then
  if is_absent "$root"; then empty builds; else unreadable builds; fi
elif [ ! -d "$root" ] || [ ! -r "$root" ] || [ ! -x "$root" ] || ! trusted "$root"; then
  unreadable builds
else
  count=0
  for path in "$root"/[0-9]*; do
    if [ -L "$path" ] || [ ! -d "$path" ]; then continue; fi
    is_key "$path" || continue
    case $path in *[\ \*\?\[]*) continue;; esac
    count=$((count + 1))
    if [ "$count" -gt 20 ]; then unreadable builds; break; fi
    builds=$builds${path##*/}$nl
    [ ! -f "$path/@SUMS@" ] || sums="$sums $path/@SUMS@"
  done
  said builds "$builds"
  for path in $sums; do
    if [ ! -r "$path" ] || ! command -v sha256sum >/dev/null; then
      unreadable "whole:$path"; continue
    fi
    captured head -c 4096 "$path"; said "sums:$path" "$output"
    captured_part check_sums "${path%/*}"
    case $status in
      0) value "whole:$path" yes;;
      1) value "whole:$path" no;;
      *) unreadable "whole:$path";;
    esac
  done
fi
# where_to LINK: where a link leads, by one step
where_to() {
  if [ -L "$1" ]; then captured readlink -- "$1"; value "link:$1" "$output"
  elif [ -e "$1" ]; then absent "link:$1"; value "file:$1" yes
  elif is_absent "$1"; then absent "link:$1"
  else unreadable "link:$1"; fi
}
for path in "$root/current" @LINKS@; do where_to "$path"; done
text=
[ ! -f @UNIT_FILE@ ] || leads_astray @UNIT_FILE@ || text=$(head -c 256 @UNIT_FILE@)
value unit "${text%%"$nl"*}"
store=@STORE@
if [ -d "$store" ] && [ -r "$store" ]; then
  stored=
  for path in "$store"/*; do
    name=${path##*/}
    case $name in *[!0-9a-f]* | '') continue;; esac
    [ "${#name}" != 64 ] || stored=$stored$name$nl
  done
  said stored "$stored"
fi
# what would be run by each name, in the order in which it is found
for program in @PROGRAMS@; do
  found=
  set -f; IFS=:
  # shellcheck disable=SC2086  # split on purpose
  set -- $PATH
  set +f; unset IFS
  for directory; do
    path=$directory/$program
    case $nl$found in *"$nl$path "*) continue;; esac
    if [ -f "$path" ] && [ -x "$path" ] && is_key "$path"; then
      real=$(readlink -f -- "$path")
      found="$found$path ${real:-$path}$nl"
    fi
  done
  said "which:$program" "$found"
done
for program in curl wget; do
  if command -v "$program" >/dev/null; then value "fetcher:$program" yes; fi
done
free=
# each, or the first directory above it that is there
for path in "$root" "$store"; do
  at=$path
  while [ ! -d "$at" ] && [ -n "$at" ]; do at=${at%/*}; done
  captured limited 10 df -Pk "${at:-/}"
  line=${output##*"$nl"}
  # shellcheck disable=SC2086  # split on purpose
  set -- $line
  case ${4:-x} in *[!0-9]*) unreadable "free:$path";; *) value "free:$path" "$4";; esac
done
