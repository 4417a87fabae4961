# shellcheck shell=sh
# Whether kubelet is healthy: it says "ok" at /healthz, or, where nothing here can ask, has not
# ended for some seconds.

health_unit=kubelet.service; health_address='@ADDRESS@'
# ask_health: kubelet's answer; 2 where nothing on the host can ask
ask_health() {
  if command -v curl >/dev/null; then
    limited 5 curl -s --noproxy '*' -m 3 "http://$health_address/healthz" 2>/dev/null
  elif command -v wget >/dev/null; then
    limited 5 env no_proxy='*' wget -q -T 3 -O - "http://$health_address/healthz" 2>/dev/null
  elif command -v kubectl >/dev/null; then
    limited 5 env HOME=/nonexistent KUBECONFIG=/dev/null NO_PROXY='*' kubectl \
      --server="http://$health_address" --request-timeout=3s get --raw /healthz 2>/dev/null
  else return 2; fi
}
# is_roots_port: any user may listen where kubelet does not yet, and say that it is healthy
is_roots_port() {
  port=$(printf '%04X' "${health_address##*:}")
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r _ place _ state _ _ _ owner _; do
    case $place:$state:$owner in
      *:"$port":0A:0) ;;
      *:"$port":0A:*) exit 1;;
    esac
  done
}
main_process() { systemctl show "$health_unit" -p MainPID --value 2>/dev/null; }
is_healthy() {
  before=$(main_process)
  if [ -z "$health_address" ]; then asked=2
  else
    answer=$(told ask_health)
    asked=$?
  fi
  if [ "$asked" != 2 ]; then
    [ "$answer" = ok ] && is_roots_port || return 1
  fi
  # what is wrong with its cgroups ends it after its first answer
  sleep @STAYS_SECONDS@
  [ "${before:-0}" != 0 ] && [ "$(main_process)" = "$before" ]
}
