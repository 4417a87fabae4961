# shellcheck shell=sh
# Which process is kubelet's, and the files that it and its unit name: see kubelet_start.py.

unit @UNIT@
kubelet_unit=$paragraph; stated=; program=; main=0; number=0; env_files=; listed=
set -f; IFS=$nl
for line in $kubelet_unit; do
  case $line in
    MainPID=*) main=${line#*=};;
    'ExecStart={ path='*)
      stated="$stated $line"; program=${line#*path=}; program=${program%% ;*};;
    EnvironmentFiles=/*)
      number=$((number + 1)); pattern=${line#*=}; pattern=${pattern% \(ignore_errors=*}
      IFS=; set +f
      for path in $pattern; do
        case $path in
          *[!\ -~]*) ;;
          *) env_files=$env_files$path$nl; listed="$listed$number $path$nl";;
        esac
      done
      set -f; IFS=$nl;;
  esac
done
case $main in '' | *[!0-9]*) main=0;; esac
set +f; unset IFS
case $nl$kubelet_unit in
  *"$nl"LoadState=loaded*)
    # a proxy's password stays on the host, and so does the environment of other units
    need sed
    captured limited 10 systemctl show @UNIT@ -p Environment
    environment=$(printf '%s\n' "$output" | sed 's/\([Pp][Rr][Oo][Xx][Yy]=\)[^" ]*/\1/g')
    case $environment in
      Environment=*) said kubelet_environment "$environment";;
      *) unreadable kubelet_environment;;
    esac
    stated="$stated $environment";;
esac

# The text of /proc/PID/cgroup, in $placed.
placed() {
  placed=
  while IFS= read -r line; do placed=$placed$line$nl; done <"/proc/$1/cgroup"
}
# Whether a process is root's, in the host's namespaces, and from a program named kubelet that root
# alone can change. 2: it is root's and may not be looked at.
is_hosts_own() {
  name=
  while read -r name real effective saved rest; do
    [ "$name" != Uid: ] || break
  done <"/proc/$1/status"
  case $name:$real:$effective:$saved:$rest in Uid::0:0:0:0) ;; *) return 1;; esac
  for name in mnt pid user; do
    [ -e "/proc/1/ns/$name" ] && [ -e "/proc/$1/ns/$name" ] || return 2
    [ "/proc/1/ns/$name" -ef "/proc/$1/ns/$name" ] || return 1
  done
  exe=$(readlink "/proc/$1/exe"); exe=${exe% \(deleted)}
  case $exe in */kubelet) trusted "$exe";; *) return 1;; esac
}
pid=; name=; main_placed=; hidden=
if [ "$main" -gt 0 ] && read -r name <"/proc/$main/comm"; then
  if [ "$name" = kubelet ]; then pid=$main
  else placed "$main"; main_placed=$placed; fi
fi
[ -n "$pid" ] || for process in /proc/[0-9]*; do
  read -r name <"$process/comm" && [ "$name" = kubelet ] || continue
  if [ -n "$main_placed" ]; then
    placed "${process#/proc/}"
    if [ "$placed" = "$main_placed" ]; then pid=${process#/proc/}; break; fi
  fi
  exe=; is_hosts_own "${process#/proc/}"
  case $? in
    0) pid=${process#/proc/}; program=$exe; break;;
    2) hidden=yes;;
  esac
done
[ -z "$hidden" ] || [ -n "$pid" ] || value kubelet_process unknown
arguments=
if [ -n "$pid" ]; then
  arguments=$(tr '\n\0' '?\n' <"/proc/$pid/cmdline" | while IFS= read -r word; do
    printf '=%s\n' "$word"
  done)
  [ -z "$arguments" ] || said kubelet_arguments "$arguments"
fi
if [ "$main" -gt 0 ] || [ -n "$pid" ]; then value kubelet_runs yes; fi

case $program in
  */kubelet)
    case $program in
      /usr/bin/* | /usr/local/bin/* | /usr/sbin/* | /usr/local/sbin/* | /bin/* | /sbin/*) ;;
      *) trusted "$program" || program=;;
    esac;;
  *) program=;;
esac
[ -x "$program" ] || program=$(command -v kubelet)
if [ -n "$program" ]; then
  captured_part limited 10 "$program" --version; value kubelet_version "$output"
fi

case $nl$kubelet_unit in
  *"$nl"LoadState=loaded*) said kubelet_environment_files "$listed";;
  *) env_files='@ENVIRONMENT_FILES@';;
esac
# The fixed ones are sent already. One that runs has its arguments, and others at its next start.
set -f; IFS=$nl
# shellcheck disable=SC2086  # split on purpose
set -- $env_files
set +f; unset IFS
others=
for path; do
  case $nl@ENVIRONMENT_LINES@$nl in
    *"$nl$path$nl"*) [ ! -f "$path" ] || is_linked "$path" || others=$others$path$nl;;
    *) learn "$path"
      if [ -n "$learned" ]; then
        exact "$path"
        [ ! -f "$path" ] || others=$others$path$nl
      fi;;
  esac
done
set -f; IFS=$nl
for path in $others; do stated="$stated $(head -c 65536 "$path")"; done
set +f; unset IFS
stated="$arguments $stated"

# path_of WORD...: the last one, which may name variables that are set among the others: $path
path_of() {
  path=$1; shift; turns=0
  while [ "$turns" -lt 4 ]; do
    turns=$((turns + 1))
    # shellcheck disable=SC2016  # not for sh to expand
    case $path in
      *'${'*'}'*) name=${path#*\$\{}; name=${name%%\}*}; reference='${'$name'}';;
      '$'*) name=${path#\$}; reference=$path;;
      *) return 0;;
    esac
    before=; found=
    for word; do
      [ "$before" != "$name" ] || found=$word
      before=$word
    done
    path=${path%%"$reference"*}$found${path#*"$reference"}
  done
}
# The reader in Python decides which of these count; all that could are sent.
set -f; IFS=" 	$nl\"'=\\"
# shellcheck disable=SC2086  # split on purpose
set -- $stated
set +f; unset IFS
previous=; configs=; directories=
for argument; do
  case $previous in
    --config | --config-dir | --config_dir)
      path_of "$argument" "$@"
      case $previous:$path in
        --config:@CONFIG@) ;;
        *:*/../* | *:*/..) ;;
        --config:/*) configs=$configs$path$nl;;
        *:/*) directories=$directories$path$nl;;
      esac;;
  esac
  previous=$argument
done
looked_at=; count=0; counting=@CONFIG@$nl
set -f; IFS=$nl
# shellcheck disable=SC2086  # split on purpose
set -- $configs
set +f; unset IFS
for config; do
  count=$((count + 1)); [ "$count" -le 8 ] || break
  case $nl$looked_at in *"$nl$config$nl"*) continue;; esac
  looked_at=$looked_at$config$nl
  learn "$config"
  [ -z "$learned" ] || { exact "$config"; counting=$counting$config$nl; }
done
set -f; IFS=$nl
# shellcheck disable=SC2086  # split on purpose
set -- $directories
set +f; unset IFS
for directory; do
  directory=${directory%/}
  count=$((count + 1)); [ "$count" -le 8 ] || break
  case $nl$looked_at in *"$nl$directory$nl"*) continue;; esac
  looked_at=$looked_at$directory$nl
  is_key "$directory" || continue
  if ! trusted "$directory"; then distrusted "$directory"; continue; fi
  if [ ! -d "$directory" ] || [ ! -r "$directory" ] || [ ! -x "$directory" ]; then
    is_absent "$directory" || unreadable "$directory"
    continue
  fi
  set --
  for path in "$directory"/*.conf; do
    if [ ! -e "$path" ] && [ ! -L "$path" ]; then continue; fi
    case $nl$looked_at in *"$nl$path$nl"*) continue;; esac
    set -- "$@" "$path"
  done
  if [ $# -gt 64 ]; then unreadable "$directory"; continue; fi
  learn "$@"
  counting=$counting$learned
  set -f; IFS=$nl
  for path in $learned; do exact "$path"; done
  set +f; unset IFS
done
said kubelet_looked_at "$looked_at"

# systemd makes this link when it starts the unit: what changed later is not in force
started=/run/systemd/units/invocation:@UNIT@
if [ -n "$pid" ] && [ "$pid" = "$main" ] && [ -L "$started" ]; then
  case $(readlink "/proc/$pid/exe") in *' (deleted)') value kubelet_replaced yes;; esac
  set -f; IFS=$nl
  # shellcheck disable=SC2086  # split on purpose
  set -- $counting$env_files
  set +f; unset IFS
  for path; do
    shift
    [ ! -f "$path" ] || set -- "$@" "$path"
  done
  status=0; output=
  [ $# = 0 ] || captured find -L "$@" -prune -cnewer "$started"
  case $status in 0) said kubelet_edited "$output";; *) unreadable kubelet_edited;; esac
fi
