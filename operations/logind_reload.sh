# shellcheck shell=sh
# Have logind read its files again, and wait until it says what they say. A restart is not needed:
# it reads them at SIGHUP, and those who hold a lock of its keep that.

systemctl kill -s HUP @UNIT@ || fail "@UNIT@ cannot be told to read its files again"
if command -v busctl >/dev/null; then
  tries=0
  while :; do
    said=$(told limited 5 busctl --auto-start=no get-property org.freedesktop.login1 \
      /org/freedesktop/login1 org.freedesktop.login1.Manager InhibitDelayMaxUSec)
    case $said in
      't '*[!0-9]* | 't ') ;;
      't '??????????????????*) break;;
      't '*) [ "${said#t }" -lt @MICROSECONDS@ ] || break;;
    esac
    tries=$((tries + 1))
    [ "$tries" -lt 10 ] ||
      fail "@UNIT@ has read its files again, and says ${said:-nothing}: restart it, or the host"
    sleep 1
  done
fi
