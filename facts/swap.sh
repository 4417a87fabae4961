# shellcheck shell=sh
# The swap probe: what turns swap on at the next boot.

if [ -d /run/systemd/system ]; then value systemd yes; fi
if [ -e /run/systemd/container ]; then value container yes; fi
# send_unit PATH: its bytes, also where a link leads that root alone decides
send_unit() { learn "$1"; [ -z "$learned" ] || exact "$1"; }
lines=; enabled=$nl
set --
for dir in @UNIT_DIRECTORIES@; do
  case $dir in /lib/*) if [ -L /lib ]; then continue; fi;; esac
  for unit in "$dir"/*.swap "$dir"/*.target "$dir"/*.service "$dir"/*.timer; do
    [ -e "$unit" ] || continue
    # an empty file and a link to /dev/null mask
    if [ ! -s "$unit" ]; then
      case $unit in *.swap | *.service | */swap.target) lines="${lines}masked $unit$nl";; esac
      continue
    fi
    case $unit in
      *.swap)
        lines="${lines}unit $unit$nl"
        case $dir in /etc/*) send_unit "$unit";; esac;;
      *) set -- "$@" "$unit";;
    esac
  done
  for unit in "$dir"/*.service.d/*.conf; do
    if [ -s "$unit" ]; then set -- "$@" "$unit"; fi
  done
  for link in "$dir"/*.wants/* "$dir"/*.requires/* "$dir"/*.upholds/*; do
    if [ -L "$link" ] || [ -e "$link" ]; then enabled=$enabled$link$nl; fi
    case $link in *'*'*) ;; *.swap) lines="${lines}wanted $link$nl";; esac
  done
done
# is_enabled UNIT: sets $link to what starts it, also by a timer, a path or a socket
is_enabled() {
  base=${1%.service}
  for each in "/$1$nl" "/$base.timer$nl" "/$base.path$nl" "/$base.socket$nl"; do
    case $enabled in
      *"$each"*)
        link=${enabled%%"$each"*}; link=${link##*"$nl"}${each%"$nl"}; return 0;;
    esac
  done
  case $base in
    *@) case $enabled in
          *"/$base"*) link=${enabled%%"/$base"*}; link=${link##*"$nl"}/$base; return 0;;
        esac;;
  esac
  return 1
}
for service in @SERVICES@; do
  if is_enabled "$service"; then
    lines="${lines}service $link $service$nl"
    if [ -s "/etc/systemd/system/$service" ]; then send_unit "/etc/systemd/system/$service"; fi
  fi
done
# lines that call swapon, pull a swap unit in, or name a program that may be a script
scripts=; suspects=; runs=
if [ $# -gt 0 ]; then
  found=$(grep -HE -e '^[^#;]*swapon' -e '^(Wants|Requires|BindsTo|Upholds)=.*[.]swap' \
    -e '^Exec(Condition|Start|StartPre|StartPost) *=.*/' -- "$@")
  set -f; IFS=$nl
  for line in $found; do
    file=${line%%:*}; text=${line#*:}; unit=$file
    case $unit in *.service.d/*) unit=${unit%/*}; unit=${unit%.d};; esac
    unit=${unit##*/}
    case $text in
      Description=* | Documentation=* | After=* | Before=* | Condition* | Assert*) continue;;
      ExecStop* | ExecReload*) continue;;
    esac
    case $text in
      *swapon* | Wants=* | Requires=* | BindsTo=* | Upholds=*)
        if is_enabled "$unit"; then suspects="${suspects}enabled $file:$text$nl"
        elif grep -qE "^(Wants|Requires|BindsTo|Upholds|Unit)=(.* )?$unit( |\$)" -- "$@"; then
          suspects="${suspects}pulled $file:$text$nl"
        fi
        continue;;
    esac
    is_enabled "$unit" || continue
    IFS=' '
    for word in ${text#*=}; do
      case $word in *[/]*) ;; *) continue;; esac
      word=/${word#*/}; word=${word%%[\"\';]*}
      [ -f "$word" ] || continue
      runs="$runs$word $unit$nl"
      case $nl$scripts in *"$nl$word$nl"*) ;; *) scripts=$scripts$word$nl;; esac
    done
    IFS=$nl
  done
  set +f; unset IFS
fi
for file in /etc/rc.local /etc/rc.d/rc.local; do
  if [ -x "$file" ] && [ -f "$file" ]; then scripts=$scripts$file$nl; fi
done
for file in /etc/crontab /etc/cron.d/* /etc/init.d/* /var/spool/cron/root \
    /var/spool/cron/crontabs/root; do
  if [ -f "$file" ]; then
    if [ -r "$file" ]; then scripts=$scripts$file$nl; else unreadable "$file"; fi
  fi
done
for dir in /var/spool/cron /var/spool/cron/crontabs; do
  if [ -d "$dir" ] && [ ! -x "$dir" ]; then unreadable "$dir"; fi
done
if [ -n "$scripts" ]; then
  set -f; IFS=$nl
  # a program is larger than the scripts that services run
  # shellcheck disable=SC2086  # split on purpose
  small=$(find -L $scripts -prune -type f -size -200)
  found=
  # shellcheck disable=SC2086  # split on purpose
  [ -z "$small" ] || found=$(grep -HE '^[^#]*(^|[^[:alnum:]_-])swapon' -- /dev/null $small)
  for line in $found; do
    file=${line%%:*}
    case $line in Binary\ file\ *) continue;; esac
    case $file in
      /etc/init.d/*)
        name=${file##*/}; starts=
        set +f
        for link in /etc/rc[S2-5].d/S??"$name"; do [ ! -e "$link" ] || starts=yes; done
        for dir in @UNIT_DIRECTORIES@; do [ ! -e "$dir/$name.service" ] || starts=; done
        set -f
        [ -n "$starts" ] || continue;;
    esac
    case $nl$runs in
      *"$nl$file "*)
        for each in $runs; do
          case $each in "$file "*) suspects="${suspects}run ${each##* } $line$nl";; esac
        done;;
      *) suspects="${suspects}script $line$nl";;
    esac
  done
  set +f; unset IFS
fi
for dir in /etc/systemd /usr/local/lib/systemd /usr/lib/systemd; do
  for file in "$dir"/system-generators/*swap* "$dir"/system-generators/*zram*; do
    if [ -x "$file" ] && [ -s "$file" ]; then lines="${lines}generator $file$nl"; fi
  done
done
for file in /run/systemd/generator.late/*.swap; do
  if [ -e "$file" ]; then lines="${lines}generated $file$nl"; fi
done
if [ -x /usr/lib/systemd/system-generators/systemd-gpt-auto-generator ] &&
    [ ! -e /run/systemd/container ]; then
  set -- /run/udev/data/b*
  if [ -e "$1" ]; then
    # shellcheck disable=SC2013  # names of devices have no blanks
    for file in $(grep -lF ID_PART_ENTRY_TYPE=@SWAP_PARTITION@ -- "$@"); do
      uuid=
      while IFS= read -r line; do
        case $line in E:ID_PART_ENTRY_UUID=*) uuid=${line#*=};; esac
      done <"$file"
      lines="${lines}partition $file $uuid$nl"
    done
  else
    set -- /sys/class/block/*/partition
    if [ -e "$1" ]; then value partitions unknown; fi
  fi
fi
if [ -x /usr/bin/cloud-init ] && [ ! -e /etc/cloud/cloud-init.disabled ] &&
    [ ! -e /var/lib/cloud/instance/sem/config_mounts ]; then
  said cloud "$(grep -HE '^swap *:|^ +(filename|size) *:|^ *-.*[^a-z]swap[^a-z]' -- \
    /dev/null /etc/cloud/cloud.cfg /etc/cloud/cloud.cfg.d/*.cfg)"
fi
said units "$lines"
said suspects "$suspects"
