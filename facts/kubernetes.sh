# shellcheck shell=sh
# Which API servers a node has to do with, whether kubelet's program was replaced under it, and
# which containerd there is.

unit kubelet.service
main=0
case $nl$paragraph in *"$nl"MainPID=*) main=${paragraph#*MainPID=}; main=${main%%"$nl"*};; esac
case $main in
  0 | '' | *[!0-9]*) ;;
  *) program=$(readlink "/proc/$main/exe")
    case $program in *' (deleted)') value replaced yes;; esac;;
esac
if [ -e @MANIFEST@ ]; then
  learn @MANIFEST@
  [ -z "$learned" ] || matching '^ *-? *image: ' @MANIFEST@
fi
# it may name a program for its password
if [ -f @KUBELET_CONF@ ] && [ -r @KUBELET_CONF@ ] && trusted @KUBELET_CONF@ &&
  command -v kubectl >/dev/null; then
  # HOME: it makes no cache
  captured_part limited 10 env HOME=/nonexistent kubectl --kubeconfig=@KUBELET_CONF@ \
    --request-timeout=5s get --raw /version
  if [ "$status" = 0 ]; then said api_server "$output"; fi
fi
if command -v containerd >/dev/null; then
  captured_part limited 10 containerd --version
  value containerd "$output"
fi
if [ -e @CHANGE@/back.sh ]; then
  what=
  [ ! -f @CHANGE@/what ] || IFS= read -r what <@CHANGE@/what
  value change "${what:-unknown}"
fi
[ -e /etc/os-release ] || exact /usr/lib/os-release
if [ -e /run/ostree-booted ]; then value ostree yes; fi
value known yes
