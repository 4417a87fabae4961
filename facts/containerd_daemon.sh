# shellcheck shell=sh
# The daemon probe, second part: what runs.

if [ -n "$socket_distrust" ]; then value socket_state distrusted
elif [ ! -S "$socket" ]; then value socket_state absent
elif [ ! -w "$socket" ]; then value socket_state forbidden
elif ! command -v ctr >/dev/null; then value socket_state present
else
  value socket_state answers
  plugins=
  captured_part limited 10 ctr --address "$socket" --connect-timeout 3s plugins ls
  set -f; IFS=$nl
  for line in $output; do
    case $line in
      io.containerd.grpc.v1\ * | io.containerd.cri.v1\ *) plugins=$plugins$line$nl;;
    esac
  done
  set +f; unset IFS
  case $status in late | cut) unreadable plugins;; *) said plugins "$plugins";; esac
  if [ -n "$plugins" ]; then
    # it fails before 1.6.27 and 1.7.12, which do not have it
    captured_part limited 10 ctr --address "$socket" --connect-timeout 3s \
      deprecations list --format json
    case $status in 0) said deprecations "$output";; late | cut) unreadable deprecations;; esac
  fi
fi
command -v ctr >/dev/null && value ctr yes
# Whether the daemon's program is the one that systemd would start now.
pid=
case $nl$containerd_shown in
  *"$nl"MainPID=[1-9]*) pid=${containerd_shown#*MainPID=}; pid=${pid%%"$nl"*};;
esac
if [ -n "$pid" ] && [ -n "$containerd_program" ]; then
  if [ ! -e "/proc/$pid/exe" ]; then unreadable replaced
  elif [ "/proc/$pid/exe" -ef "$containerd_program" ]; then value replaced no
  else
    captured readlink "/proc/$pid/exe"; running=$output
    captured head -c 2 -- "$containerd_program"
    case $running:$output in
      *' (deleted):'*) value replaced yes;;
      # a script that starts another program
      *':#!') value replaced no;;
      *) value replaced yes;;
    esac
    if [ -z "$socket_distrust" ] && [ -S "$socket" ] && command -v ctr >/dev/null; then
      captured_part limited 10 ctr --address "$socket" --connect-timeout 3s version
      # the client is named first
      said running_version "${output##*Server:}"
    fi
  fi
fi
tasks=$state/io.containerd.runtime.v2.task/k8s.io
if [ "$state" != /run/containerd ] && ! trusted "$state"; then unreadable pods
elif [ -d "$tasks" ] && [ -r "$tasks" ]; then
  pods=
  for directory in "$tasks"/*; do
    pid=
    # written without a line end
    [ -f "$directory/init.pid" ] && read -r pid <"$directory/init.pid"
    case $pid in ''|*[!0-9]*) continue;; esac
    id=${directory##*/}; placed=
    while IFS= read -r line; do
      path=${line#*:}; path=${path#*:}
      case $path in /*"$id"*) placed=${placed:-$path};; esac
    done <"/proc/$pid/cgroup"
    [ -z "$placed" ] || pods="$pods$id $placed$nl"
  done
  said pods "$pods"
elif [ -d "$state" ] && [ ! -r "$state" ]; then unreadable pods
else said pods ''; fi
if [ -n "$config" ] && [ -z "$config_distrust" ] && [ -e "$config@UNPROVEN_SUFFIX@" ]; then
  learn "$config@UNPROVEN_SUFFIX@"
  [ -z "$learned" ] || exact "$config@UNPROVEN_SUFFIX@"
fi
