# shellcheck shell=sh
# Shared by containerd's probes: $program and $shown, what systemd says of the service. The program
# that systemd starts comes first: another one in PATH would read another configuration.

unit containerd.service; shown=$paragraph
program=
case $nl$shown in
  *"$nl"'ExecStart={ path='*) program=${shown#*ExecStart=\{ path=}; program=${program%%[ ;]*};;
esac
[ -x "$program" ] || program=$(command -v containerd)
# Root runs it, and reads its directory first: nobody else may have put it there.
program_distrust=
case $program in
  /usr/bin/* | /usr/local/bin/* | /usr/sbin/* | /usr/local/sbin/* | /bin/* | /sbin/* | '') ;;
  *) trusted "$program" || program_distrust=$distrust;;
esac
