# shellcheck shell=sh
# Docker's probe: what Docker Engine and cri-dockerd say of themselves, and what they were started
# with. Nobody is asked who does not run: systemd would start them at the first word to their sockets.

# arguments KEY PID: of a process, a line each
arguments() { if [ -r "/proc/$2/cmdline" ]; then said "$1" "$(tr '\n\0' '?\n' <"/proc/$2/cmdline")"; fi; }
# engine WHAT: what Docker Engine's API says, as JSON
engine() {
  case $asked_by in
    docker)
      DOCKER_CONFIG=/nonexistent limited 10 docker -H unix://@ENGINE_SOCKET@ "$1" \
        --format '{{json .}}' 2>/dev/null;;
    curl) limited 10 curl -s -f --max-time 8 --unix-socket @ENGINE_SOCKET@ "http://localhost/$1";;
  esac
}
docker_pid "$docker_shown"; docker_pid=$pid
asked_by=
if [ -n "$docker_pid" ]; then arguments docker_arguments "$docker_pid"; fi
if [ -z "$docker_pid" ]; then value engine down
elif [ ! -S @ENGINE_SOCKET@ ]; then value engine elsewhere
elif ! trusted @ENGINE_SOCKET@; then value engine distrusted; said engine_distrust "$distrust"
elif [ ! -w @ENGINE_SOCKET@ ]; then value engine forbidden
else
  for program in docker curl; do
    if command -v "$program" >/dev/null; then asked_by=$program; break; fi
  done
  if [ -z "$asked_by" ]; then value engine unasked
  else
    value engine asked
    for what in info version; do
      captured_part engine "$what"
      case $status in 0) said "engine_$what" "$output";; *) unreadable "engine_$what";; esac
      case $output in
        *'"DockerRootDir":"/'*)
          root=${output#*'"DockerRootDir":"'}; root=${root%%'"'*}
          if is_key "$root" && trusted "$root"; then value data_root "$root"; data_root_space "$root"
          else unreadable data_root; fi;;
      esac
    done
  fi
fi
docker_pid "$cri_shown"; cri_pid=$pid
socket=@CRI_SOCKET@
for listening in @CRI_SOCKET_UNITS@; do
  unit "$listening"
  docker_field Listen "$paragraph"
  case $field in /*' (Stream)') socket=${field% (*}; break;; esac
done
if [ -n "$cri_pid" ]; then arguments cri_arguments "$cri_pid"; fi
value cri_socket "$socket"
if [ -S "$socket" ]; then value cri_socket_there yes; fi
if [ -n "$cri_pid" ] && [ -w "$socket" ] && trusted "$socket" && command -v crictl >/dev/null; then
  captured_part limited 10 crictl --timeout 5s -r "unix://$socket" version
  value crictl "$status"
fi
# where cri-dockerd looks for plugins: a line of a running one's words, else of its unit's
docker_field ExecStart "$cri_shown"; words=${field#*argv\[\]=}; words=${words%%;*}
if [ -n "$cri_pid" ] && [ -r "/proc/$cri_pid/cmdline" ]; then
  words=$(tr '\n\0' '? ' <"/proc/$cri_pid/cmdline")
fi
cni_dirs=@CNI_UPSTREAM@; cni_conf=@CNI_CONF@; takes=
set -f
# shellcheck disable=SC2086  # split on purpose
set -- $words
set +f
for word; do
  case $takes in
    dirs) cni_dirs=$word;;
    conf) cni_conf=$word;;
  esac
  takes=
  case $word in
    --cni-bin-dir) takes=dirs;;
    --cni-bin-dir=*) cni_dirs=${word#*=};;
    --cni-conf-dir) takes=conf;;
    --cni-conf-dir=*) cni_conf=${word#*=};;
  esac
done
set -f; IFS=,
# shellcheck disable=SC2086  # split on purpose
set -- $cni_dirs
set +f; unset IFS
cni_dirs=
for word; do case $word in /*) cni_dirs=$cni_dirs$word$nl;; esac; done
case $cni_conf in /*) ;; *) cni_conf=;; esac
# what package managers leave beside a file that was edited
beside=; closed=
for path in @CONFIG@ @OPTIONS@; do
  if [ -d "${path%/*}/" ] && [ ! -x "${path%/*}/" ]; then closed=yes; fi
  for suffix in @LEFT_SUFFIXES@; do
    if [ -e "$path.$suffix" ] || [ -L "$path.$suffix" ]; then beside=$beside$path.$suffix$nl; fi
  done
done
if [ -n "$closed" ]; then unreadable left; else said left "$beside"; fi
# dockerd writes its pid file when it starts, after it has read its files: what changed later is not
# in force.
if [ -n "$docker_pid" ] && [ -f @PID_FILE@ ]; then
  docker_field DropInPaths "$docker_shown"
  set -f
  # shellcheck disable=SC2086  # split on purpose
  set -- @CONFIG@ @OPTIONS@ $field
  set +f
  for path; do
    shift
    if [ -e "$path" ]; then set -- "$@" "$path"; fi
  done
  changed=; status=0
  if [ $# -gt 0 ]; then captured find -L "$@" -prune -cnewer @PID_FILE@; changed=$output; fi
  if [ @PID_FILE@ -nt /proc/self/stat ]; then said future @PID_FILE@
  elif [ "$status" != 0 ]; then unreadable changed
  else said changed "$changed"; fi
fi
if [ -e @CONFIG@@UNPROVEN_SUFFIX@ ]; then
  learn @CONFIG@@UNPROVEN_SUFFIX@
  [ -z "$learned" ] || exact @CONFIG@@UNPROVEN_SUFFIX@
fi
