# shellcheck shell=sh
# The CRI-O probe: the program, its files, what it says of itself, and what stands around it.

unit crio.service; shown=$paragraph
program=
case $nl$shown in
  *"$nl"'ExecStart={ path='*) program=${shown#*ExecStart=\{ path=}; program=${program%%[ ;]*};;
esac
[ -x "$program" ] || program=$(command -v crio)
value binary "$program"
# Root runs it: nobody else may have put it there.
program_distrust=
case $program in
  /usr/bin/* | /usr/local/bin/* | '') ;;
  *) trusted "$program" || program_distrust=$distrust;;
esac
# crio WORD...: the program, which reads no file for it: a broken one would hide what it says
crio() { limited 10 "$program" --config= --config-dir= "$@"; }
if [ -n "$program_distrust" ]; then unreadable version
elif [ -n "$program" ]; then
  captured_part crio --version; value version "${output%%"$nl"*}"
else value version ''; fi

# what was begun, and is neither proven nor undone
if [ -e @CHANGE@/back.sh ]; then
  what=
  [ ! -f @CHANGE@/what ] || IFS= read -r what <@CHANGE@/what
  value change "${what:-unknown}"
fi

# Every file below the folder is read by CRI-O, whatever its name is.
# What is stated was sent before: this is for the rest.
files=; missing=; links=; linked_files=; kernel_files=
configured=; count=0; drop_ins=@DROP_INS@
if leads_astray @DROP_INS@; then drop_ins=
elif [ -e @DROP_INS@ ]; then
  captured find @DROP_INS@/ -maxdepth 8 ! -type d
  [ "$status" = 0 ] || unreadable @DROP_INS@
  set -f; IFS=$nl
  for path in $output; do
    count=$((count + 1))
    [ "$count" -le @MOST_FILES@ ] || { unreadable @DROP_INS@; break; }
    case $path in @DROP_INS@//*) path=@DROP_INS@/${path#@DROP_INS@//};; esac
    is_key "$path" || continue
    want "$path"; configured=$configured$path$nl
  done
  set +f; unset IFS
elif ! is_absent @DROP_INS@; then unreadable @DROP_INS@; fi
send_wanted
said configured "$configured"
if [ -L @LINK@ ]; then value link "$(readlink @LINK@)"; fi

# What the daemon has in force, edited files or not.
socket=@SOCKET@; live=
if [ ! -S "$socket" ]; then
  if is_absent "$socket"; then value socket_state absent; else value socket_state unknown; fi
elif ! trusted "$socket"; then value socket_state distrusted
elif [ ! -w "$socket" ]; then value socket_state forbidden
elif [ -z "$program" ] || [ -n "$program_distrust" ]; then value socket_state present
else
  captured_part crio status --socket "$socket" config
  case $status in
    0) value socket_state answers; live=$output; said live "$live";;
    late | cut) value socket_state hangs;;
    *) value socket_state silent;;
  esac
fi
# What it was started with wins over its files.
property=
case $nl$shown in *"$nl"MainPID=*) property=$nl$shown; property=${property#*"$nl"MainPID=};; esac
pid=${property%%"$nl"*}
if [ "${pid:-0}" -gt 0 ] && [ -r "/proc/$pid/cmdline" ]; then
  said command_line "$(tr '\0' '\n' <"/proc/$pid/cmdline" | head -c 8192)"
fi

# words KEY: of what is in force, the paths of a string or an array, a line each
words() {
  words=
  case $nl$live in *"$nl"*"$1 = "*) ;; *) return 0;; esac
  set -f; IFS=$nl
  for line in $live; do
    line=${line#"${line%%[! ]*}"}
    case $line in "$1 = "*) ;; *) continue;; esac
    IFS=', '
    for word in ${line#"$1 = "}; do
      word=${word#\[}; word=${word%\]}; word=${word#\"}; word=${word%\"}
      case $word in /*) words=$words$word$nl;; esac
    done
    break
  done
  set +f; unset IFS
}
words plugin_dirs; plugin_dirs=$words
words network_dir; network_dir=${words%%"$nl"*}
words root; root=${words%%"$nl"*}
words signature_policy; policies=$words
cni_dirs=$plugin_dirs; cni_conf=${network_dir:-@NETWORK_DIR@}
case $root in
  '' | @DEFAULT_ROOT@) ;;
  /*)
    value data_root "$root"
    if is_key "$root"; then
      if trusted "$root"; then data_root_space "$root"; else distrusted "$root"; fi
    fi;;
esac
set -f; IFS=$nl
# shellcheck disable=SC2046,SC2086  # split on purpose
set -- $policies $(
  [ ! -d "$drop_ins" ] || grep -rhEo -m 8 '^ *signature_policy *= *"/[ -~]*"' "$drop_ins" |
    grep -Eo '/[ !#-~]*' | head -n 64
) /etc/crio/policy.json @POLICY@
set +f; unset IFS
seen=$nl
for path; do
  case $seen in *"$nl$path$nl"*) continue;; esac
  seen=$seen$path$nl
  is_key "policy:$path" || continue
  if [ -e "$path" ]; then value "policy:$path" yes
  elif is_absent "$path"; then value "policy:$path" no
  else unreadable "policy:$path"; fi
done

# What package managers leave beside a file that was edited; in crio.conf.d it would be read.
beside=; closed=
for path in @MAIN@ /etc/crio/policy.json /etc/crictl.yaml; do
  if [ -d "${path%/*}/" ] && [ ! -x "${path%/*}/" ]; then closed=yes; fi
  for suffix in @LEFT_SUFFIXES@; do
    if [ -e "$path.$suffix" ] || [ -L "$path.$suffix" ]; then beside=$beside$path.$suffix$nl; fi
  done
done
if [ -n "$closed" ]; then unreadable left; else said left "$beside"; fi

# The daemon makes its socket when it starts. The time of a file's change counts, not the time that
# `cp -p` or a wrong clock gave it.
if [ -S "$socket" ]; then
  set --
  set -f; IFS=$nl
  for path in @MAIN@ @FILE@ $configured; do [ ! -e "$path" ] || set -- "$@" "$path"; done
  set +f; unset IFS
  changed=; status=0; future=
  if [ $# -gt 0 ]; then captured find -L "$@" -prune -cnewer "$socket"; changed=$output; fi
  # What the kernel makes now has the time of now: what has a later one is from before the clock was
  # set back.
  if [ "$socket" -nt /proc/self/stat ]; then future=$socket
  elif [ -n "$changed" ]; then
    captured find -L "$@" -prune -cnewer /proc/self/stat; future=$output
  fi
  if [ "$status" != 0 ]; then unreadable changed
  elif [ -n "$future" ]; then said future "$future"
  else said changed "$changed"; fi
fi
