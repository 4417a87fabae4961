# shellcheck shell=sh
# The daemon probe, first part: the configuration, as files and as containerd reads it.

# property NAME: of the service
property() {
  property=
  case $nl$containerd_shown in
    *"$nl$1="*) property=$nl$containerd_shown; property=${property#*"$nl$1="};;
  esac
  property=${property%%"$nl"*}
}
# configured WORD...: of a command line, the values of --config and --root; no --config when there
# is a word that belongs to no option: systemd shows arguments without their quotes.
configured() {
  config=@DEFAULT_CONFIG@; root_flag=; takes=
  [ $# = 0 ] || shift
  for word; do
    case $takes in
      config) config=$word; takes=; continue;;
      root) root_flag=$word; takes=; continue;;
      other) takes=; continue;;
    esac
    case $word in
      --config|-config|-c) takes=config;;
      --config=*|-config=*|-c=*) config=${word#*=};;
      --root|-root) takes=root;;
      --root=*|-root=*) root_flag=${word#*=};;
      --log-level|-l|--address|-a|--state) takes=other;;
      -*) ;;
      *) config=;;
    esac
  done
}
property ExecStart; arguments=
case $property in *'argv[]='*) arguments=${property#*argv\[\]=};; esac
arguments=${arguments%%;*}
set -f
# shellcheck disable=SC2086  # split on purpose
configured $arguments
set +f
case $config in
  *'$'*|*'%'*) config=;;
  /*) ;;
  *) config=;;
esac
# systemd is there, and did not say what it starts
[ -n "$containerd_shown" ] || [ ! -d /run/systemd/system ] || config=
if [ -z "$config" ]; then
  # what the running daemon was given is beyond doubt
  property MainPID; pid=$property
  if [ "${pid:-0}" -gt 0 ] && [ -r "/proc/$pid/cmdline" ]; then
    set -f; IFS=$nl
    # shellcheck disable=SC2046  # split on purpose
    configured $(tr '\0' '\n' <"/proc/$pid/cmdline")
    set +f; unset IFS
    case $config in
      ''|/*) ;;
      *) config=$(readlink "/proc/$pid/cwd")/$config;;
    esac
  fi
fi
# A device is no configuration, though as a drop-in it would mask one. What is not trusted is
# neither read nor given to containerd, which would say what is in it.
settings() {
  if [ -e "$1" ] && [ ! -f "$1" ]; then unreadable "$1"; config_distrust="$1 is no file"
  elif [ "$1" = @DEFAULT_CONFIG@ ]; then
    # it was sent already, or why not
    if [ -L "$1" ] && ! trusted "$1"; then config_distrust=$distrust; fi
  elif trusted "$1"; then want "$1"
  else config_distrust=$distrust; distrusted "$1"; fi
}
dumped() {
  if [ "$config" = @DEFAULT_CONFIG@ ]; then limited 10 containerd config dump
  else limited 10 containerd --config "$config" config dump; fi
}
dump=; files=; missing=; links=; linked_files=; kernel_files=; config_distrust=
if [ -z "$config" ]; then unreadable path
else
  value path "$config"
  settings "$config"
  if [ -n "$containerd_distrust" ]; then config_distrust=$containerd_distrust; fi
  if [ -n "$config_distrust" ]; then said dump_error "not trusted: $config_distrust"
  else
    captured_part dumped
    case $status in
      0) dump=$output; said dump "$dump";;
      late) said dump_error 'containerd config dump did not end in 10 s';;
      cut) said dump_error 'containerd config dump prints more than 256 KiB';;
      *) if [ -n "$containerd_program" ]; then said dump_error "$(dumped 2>&1 | tail -n 3)"; fi;;
    esac
  fi
fi

# value_of LINE: what is behind "= ", without its quotes
value_of() { value=${1#*= }; value=${value#[\"\']}; value=${value%[\"\']}; }
table=; socket=; state=; imports=; root=
set -f; IFS=$nl
for line in $dump; do
  line=${line#"${line%%[! ]*}"}
  case $line in '['*) table=$line; continue;; esac
  case $table$line in
    # from 2.3 on it is a plugin's
    '[grpc]address = '* | "[plugins."?"io.containerd.server.v1.grpc"?"]address = "*)
      value_of "$line"; socket=${socket:-$value};;
    'state = '*) value_of "$line"; state=$value;;
    'root = '*) value_of "$line"; root=$value;;
    'imports = ['*) imports=${line#*\[}; imports=${imports%]*};;
  esac
done
set +f; unset IFS
# The usual place is one of those that the machine's probe looks at.
if [ -n "$config" ] && [ -n "$root_flag" ]; then root=$root_flag; value root_flag "$root"; fi
case $root in
  '' | @DEFAULT_ROOT@) ;;
  /*)
    value data_root "$root"
    if is_key "$root"; then
      if trusted "$root"; then data_root_space "$root"; else distrusted "$root"; fi
    fi;;
esac
# cni_words TEXT: sets $words to the paths of a string or an array, a line each
cni_words() {
  words=
  set -f; IFS=', '
  for word in $1; do
    word=${word#\[}; word=${word%\]}; word=${word#[\"\']}; word=${word%[\"\']}
    case $word in /*) words=$words$word$nl;; esac
  done
  set +f; unset IFS
}
cni_table=; cni_dirs=; cni_conf=
set -f; IFS=$nl
for line in $dump; do
  line=${line#"${line%%[! ]*}"}
  case $cni_table$line in
    '['*cri*.cni\]) cni_table=yes;;
    'yes['*) cni_table=;;
    'yesbin_dir'*' = '*) cni_words "${line#* = }"; cni_dirs=$cni_dirs$words;;
    'yesconf_dir = '*) cni_words "${line#* = }"; cni_conf=${words%%"$nl"*};;
  esac
  set -f; IFS=$nl
done
set +f; unset IFS
socket=${socket:-@DEFAULT_SOCKET@}; state=${state:-/run/containerd}
value socket "$socket"
# another user's socket is another user's daemon
socket_distrust=
if [ "$socket" != @DEFAULT_SOCKET@ ] && ! trusted "$socket"; then socket_distrust=$distrust; fi

# imports are patterns, with commas between
patterns=$imports; imports=; count=0
set -f; IFS=,
# shellcheck disable=SC2086  # split on purpose
set -- $patterns
set +f
for pattern; do
  pattern=${pattern#"${pattern%%[! ]*}"}; pattern=${pattern%"${pattern##*[! ]}"}
  pattern=${pattern#[\"\']}; pattern=${pattern%[\"\']}
  case $pattern in '') continue;; /*) ;; *) pattern=${config%/*}/$pattern;; esac
  IFS=
  for path in $pattern; do
    case $nl$config$nl$imports in *"$nl$path$nl"*) continue;; esac
    if [ -e "$path" ] || [ -L "$path" ]; then imports=$imports$path$nl; count=$((count + 1)); fi
  done
done
set -f; IFS=$nl
# shellcheck disable=SC2086  # split on purpose
set -- $imports
set +f; unset IFS
if [ "$count" -gt 64 ]; then unreadable imports
else
  for path; do settings "$path"; done
  send_wanted
  said imports "$imports"
  # what package managers leave beside a file that was edited
  beside=; closed=
  for path in "$config" /etc/crictl.yaml "$@"; do
    case $path in
      /*) if [ -d "${path%/*}/" ] && [ ! -x "${path%/*}/" ]; then closed=yes; fi;;
      *) continue;;
    esac
    for suffix in @LEFT_SUFFIXES@; do
      if [ -e "$path.$suffix" ] || [ -L "$path.$suffix" ]; then beside=$beside$path.$suffix$nl; fi
    done
  done
  if [ -n "$closed" ]; then unreadable left; else said left "$beside"; fi
  # The daemon makes its socket when it starts: a file that changed later is not in force. The time
  # of the change counts, not the time that `cp -p` or a wrong clock gave the file.
  if [ -S "$socket" ] && [ -z "$socket_distrust" ]; then
    set -- "$config" "$@"
    for path; do
      shift
      if [ -e "$path" ]; then set -- "$@" "$path"; fi
    done
    changed=; status=0; future=
    if [ $# -gt 0 ]; then captured find -L "$@" -prune -cnewer "$socket"; changed=$output; fi
    # What the kernel makes now has the time of now. What has a later one is from before the clock
    # was set back.
    if [ "$socket" -nt /proc/self/stat ]; then future=$socket
    elif [ -n "$changed" ]; then
      captured find -L "$@" -prune -cnewer /proc/self/stat; future=$output
    fi
    if [ "$status" != 0 ]; then unreadable changed
    elif [ -n "$future" ]; then said future "$future"
    else said changed "$changed"; fi
  fi
fi
