# shellcheck shell=sh
# The handlers' probe: which programs containerd finds, and which files are there.

# containerd looks for a shim by its own PATH first, then beside itself
search=@SYSTEMD_PATH@
main=0
case $nl$containerd_shown in *"$nl"MainPID=*) main=${containerd_shown#*MainPID=}; main=${main%%"$nl"*};; esac
case $main in
  0 | '' | *[!0-9]*) ;;
  *)
    environment=$nl$(tr '\n\0' '?\n' <"/proc/$main/environ")
    case $environment in
      *"$nl"PATH=*) search=${environment#*"$nl"PATH=}; search=${search%%"$nl"*};;
    esac;;
esac
# find_program NAME: sets $found
find_program() {
  found=
  set -f; IFS=:
  # shellcheck disable=SC2086  # split on purpose
  set -- "$1" $search "${containerd_program%/*}"
  set +f; unset IFS
  name=$1; shift
  case $name in /*) set -- ''; name=${name#/};; esac
  for directory; do
    if [ -f "$directory/$name" ] && [ -x "$directory/$name" ]; then
      found=$directory/$name
      return
    fi
  done
}
for each in @PROGRAMS@; do
  find_program "$each"
  if [ -n "$found" ]; then value "program:$each" "$found"; else absent "program:$each"; fi
done
for each in @FILES@; do
  if [ -f "$each" ]; then value "file:$each" yes
  elif [ ! -e "$each" ] && is_absent "$each"; then absent "file:$each"
  else unreadable "file:$each"; fi
done
