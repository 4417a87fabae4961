# shellcheck shell=sh
# Shared by Docker's probes: what systemd says of Docker Engine and cri-dockerd, and their programs.

GOGC=off GOMAXPROCS=1; export GOGC GOMAXPROCS
# docker_field NAME TEXT: a property, in $field
docker_field() {
  field=
  case $nl$2 in
    *"$nl$1="*) field=$nl$2; field=${field#*"$nl$1="};;
  esac
  field=${field%%"$nl"*}
}
# docker_start NAME TEXT: the program that a unit starts, else the one in PATH, in $program
docker_start() {
  program=
  case $nl$2 in
    *"$nl"'ExecStart={ path='*) program=${2#*ExecStart=\{ path=}; program=${program%%[ ;]*};;
  esac
  [ -x "$program" ] || program=$(command -v "$1")
  case $program in
    /usr/bin/* | /usr/local/bin/* | /usr/sbin/* | /usr/local/sbin/* | /bin/* | /sbin/* | '') ;;
    # root runs it: nobody else may have put it there
    *) trusted "$program" || { unreadable "$1"; program=; };;
  esac
}
# docker_pid TEXT: the main process of a unit, in $pid; empty where it has none
docker_pid() {
  docker_field MainPID "$1"; pid=$field
  case $pid in 0 | *[!0-9]*) pid=;; esac
}
unit docker.service; docker_shown=$paragraph
docker_start dockerd "$docker_shown"; dockerd=$program
unit cri-docker.service; cri_shown=$paragraph; cri_unit=cri-docker.service
docker_field LoadState "$cri_shown"
if [ "$field" != loaded ] && [ "$field" != masked ]; then
  unit cri-dockerd.service
  docker_field LoadState "$paragraph"
  if [ "$field" = loaded ] || [ "$field" = masked ]; then
    cri_unit=cri-dockerd.service; cri_shown=$paragraph
  fi
fi
docker_start cri-dockerd "$cri_shown"; cri_dockerd=$program
