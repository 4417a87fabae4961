# shellcheck shell=sh
# How long logind lets a shutdown wait, as it says itself. Nobody is started to say it.

unit @UNIT@
case $nl$paragraph in
  *"$nl"ActiveState=active*)
    value runs yes
    if need busctl; then
      captured limited 10 busctl --auto-start=no get-property org.freedesktop.login1 \
        /org/freedesktop/login1 org.freedesktop.login1.Manager InhibitDelayMaxUSec
      case $status in 0) value delay "$output";; *) unreadable delay;; esac
    fi;;
  *) value runs no;;
esac
