# shellcheck shell=sh
# The runtimes probe: programs and sockets of each runtime, and the one that kubelet was given.

programs=
for program in @PROGRAMS@; do
  if command -v "$program" >/dev/null; then programs="$programs $program"; fi
done
value programs "$programs"
sockets=
for socket in @SOCKETS@; do
  if [ -S "$socket" ]; then sockets="$sockets $socket"
  elif [ -d "${socket%/*}" ] && [ ! -x "${socket%/*}" ]; then unreadable "$socket"; fi
done
value sockets "$sockets"
unit @KUBELET_UNIT@
main=0
case $nl$paragraph in *"$nl"MainPID=*) main=${paragraph#*MainPID=}; main=${main%%"$nl"*};; esac
case $main in
  0 | '' | *[!0-9]*) ;;
  *) said runtimes_kubelet "$(tr '\n\0' '? ' <"/proc/$main/cmdline")";;
esac
