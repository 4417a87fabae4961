# shellcheck shell=sh
# What is in CNI's directories, for the probe of a runtime.

# cni_found DIRECTORY...: the names of the executables in each that there is
cni_found() {
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
}
# cni_config DIRECTORY: the network's configuration that counts: the first by name
cni_config() {
  if [ -z "$1" ] || [ ! -d "$1" ]; then return 0; fi
  if [ ! -r "$1" ] || [ ! -x "$1" ]; then unreadable cni_conf; return 0; fi
  for file in "$1"/*; do
    case $file in
      *.conf | *.conflist | *.json)
        [ -f "$file" ] || continue
        value cni_conf "$file"
        learn "$file"
        [ -z "$learned" ] || exact "$file"
        break;;
    esac
  done
}
