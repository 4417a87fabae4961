# shellcheck shell=sh
# The network probe: names, interfaces, ports, default routes, proxies.
# awk looks at the whole line of a proxy's setting, and only the setting's name is sent.

resolved() {
  captured limited 3 getent ahosts "$2"
  case $status in
    0|2) said "$1" "$output";;
    *) unreadable "$1";;
  esac
}
if read -r name <@HOSTNAME@; then resolved host "$name"; else unreadable host; fi
resolved localhost localhost
for interface in /sys/class/net/*; do
  [ -e "$interface/device" ] && read -r mac <"$interface/address" &&
    value "mac:${interface##*/}" "$mac"
done
set --
for file in @TCP@ @TCP6@ @ROUTES@ @ROUTES6@; do
  [ -r "$file" ] && set -- "$@" "$file"
done
[ $# = 0 ] || matching '@LISTENING@|@DEFAULT@' "$@"
set --
for file in /etc/environment /etc/systemd/system/containerd.service.d/*.conf \
  /etc/systemd/system/kubelet.service.d/*.conf /etc/systemd/system.conf.d/*.conf; do
  [ -f "$file" ] && set -- "$@" "$file"
done
status=0; output=
# shellcheck disable=SC2016  # not for sh to expand
[ $# = 0 ] || captured awk '/^[ \t]*[#;]/ { next } { line = toupper($0); if (match(line, /(HTTPS?|ALL)_PROXY=/)) print FILENAME ":" FNR ":" substr(line, RSTART, RLENGTH - 1) }' "$@"
if [ "$status" = 0 ]; then said proxies "$output"; else unreadable proxies; fi
