# shellcheck shell=sh
# CNI: the plugins in $cni_dirs, a line each, and in the usual directories, and the network's
# configuration, which is the first file of $cni_conf.

set -f; IFS=$nl
# shellcheck disable=SC2086  # split on purpose
set -- $cni_dirs @CNI_UPSTREAM@ @CNI_DEBIAN@ /usr/libexec/cni
set +f; unset IFS
seen=$nl
for dir; do
  case $seen in *"$nl$dir$nl"*) continue;; esac
  seen=$seen$dir$nl
  if [ -d "$dir" ] && [ ! -x "$dir" ]; then unreadable "cni:$dir"; continue; fi
  [ -d "$dir" ] || continue
  names=; count=0
  for file in "$dir"/*; do
    [ -f "$file" ] && [ -x "$file" ] || continue
    count=$((count + 1))
    [ "$count" -le 200 ] || break
    names=$names${file##*/}$nl
  done
  said "cni:$dir" "$names"
done
if [ -n "$cni_conf" ] && [ -d "$cni_conf" ]; then
  if [ ! -r "$cni_conf" ] || [ ! -x "$cni_conf" ]; then unreadable cni_conf
  else
    for file in "$cni_conf"/*; do
      case $file in
        *.conf | *.conflist | *.json)
          [ -f "$file" ] || continue
          value cni_conf "$file"
          learn "$file"
          [ -z "$learned" ] || exact "$file"
          break;;
      esac
    done
  fi
fi
