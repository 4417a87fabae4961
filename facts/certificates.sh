# shellcheck shell=sh
# The first certificate of each file, and those that kubeconfig files have in them. The keys that
# stand beside them stay on the host.

set --
for path in @FILES@ @KUBECONFIGS@; do
  if [ -f "$path" ]; then set -- "$@" "$path"
  elif [ -e "$path" ] || [ -L "$path" ]; then not_there "$path"; fi
done
# what was read before may have learned of others
learned=
[ $# = 0 ] || learn "$@"
configs=
set -f; IFS=$nl
for path in $learned; do
  if [ ! -r "$path" ] || ! is_small "$path"; then unreadable "$path"; continue; fi
  case $path in *.conf) configs="$configs$path$nl"; continue;; esac
  part=; lines=0
  while IFS= read -r line && [ "$lines" -lt 200 ]; do
    case $part$line in -----BEGIN\ CERTIFICATE-----*) part=$part$line$nl; lines=$((lines + 1));; esac
    case $line in -----END\ CERTIFICATE-----) break;; esac
  done <"$path"
  said "certificate:$path" "$part"
  set -f; IFS=$nl
done
# shellcheck disable=SC2086  # a path a line
set -- $configs
set +f; unset IFS
[ $# = 0 ] || matching '^ *client-certificate-data: ' "$@"
value certificates known
