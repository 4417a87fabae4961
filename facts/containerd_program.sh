# shellcheck shell=sh
# Shared by containerd's probes: $containerd_program, and $containerd_shown, what systemd says of the
# service. The program that systemd starts comes first: another one in PATH would read another
# configuration. Names that no other shared part has: all are run before the first probe.

unit containerd.service; containerd_shown=$paragraph
containerd_program=
case $nl$containerd_shown in
  *"$nl"'ExecStart={ path='*)
    containerd_program=${containerd_shown#*ExecStart=\{ path=}
    containerd_program=${containerd_program%%[ ;]*};;
esac
[ -x "$containerd_program" ] || containerd_program=$(command -v containerd)
# Root runs it, and reads its directory first: nobody else may have put it there.
containerd_distrust=
case $containerd_program in
  /usr/bin/* | /usr/local/bin/* | /usr/sbin/* | /usr/local/sbin/* | /bin/* | /sbin/* | '') ;;
  *) trusted "$containerd_program" || containerd_distrust=$distrust;;
esac
