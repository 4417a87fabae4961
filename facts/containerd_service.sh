# shellcheck shell=sh
# The drop-ins of containerd.service that kubenode writes, and those that may win over them. What a
# proxy is stays on the host.

unit @UNIT@
# property NAME: of the service
property() {
  property=
  case $nl$paragraph in
    *"$nl$1="*) property=$nl$paragraph; property=${property#*"$nl$1="};;
  esac
  property=${property%%"$nl"*}
}
there=
for file in @FILES@; do
  if [ -f "$file" ] && [ ! -L "$file" ] && [ -r "$file" ]; then there="$there $file"
  elif [ -e "$file" ] || [ -L "$file" ]; then unreadable "$file"
  else not_there "$file"; fi
done
if [ "$there" ]; then
  # shellcheck disable=SC2086  # split on purpose
  said service_modes "$(ls -ldn -- $there)"
  status=missing
  # shellcheck disable=SC2086  # split on purpose
  if command -v sha256sum >/dev/null; then captured_part limited 10 sha256sum -- $there; fi
  case $status in 0) said service_sums "$output";; *) unreadable service_sums;; esac
fi
property DropInPaths; paths=$property
case $paths in *\\* | *'"'*) unreadable drop_ins; paths=;; esac
said drop_ins "$paths"
# shellcheck disable=SC2086  # split on purpose
[ -z "$paths" ] || learn $paths
if [ "$paths" ] && [ "$learned" ]; then
  set -f; IFS=$nl
  # shellcheck disable=SC2086  # split on purpose
  set -- $learned
  set +f; unset IFS
  matching '^[[:space:]]*(LimitNOFILE|EnvironmentFile)[[:space:]]*=' "$@"
fi
# The daemon makes its socket when it starts: what changed later is not in force.
if [ "$there" ] && [ -S @SOCKET@ ]; then
  # shellcheck disable=SC2086  # split on purpose
  captured find $there -prune -cnewer @SOCKET@
  case $status in 0) said service_changed "$output";; *) unreadable service_changed;; esac
fi
