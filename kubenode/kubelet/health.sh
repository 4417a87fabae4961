# shellcheck shell=sh
# Whether kubelet is healthy: it says "ok" at /healthz, or, where nothing here can ask, has not
# ended for some seconds.

unit=kubelet.service
last_words() { journalctl -u "$unit" -n 5 --no-pager -o cat 2>/dev/null | cut -c1-300; }
# ask_health: kubelet's answer; 2 where nothing on the host can ask
ask_health() {
  if command -v curl >/dev/null; then
    limited 5 curl -s --noproxy '*' -m 3 http://@ADDRESS@/healthz
  elif command -v wget >/dev/null; then
    no_proxy='*' limited 5 wget -q -T 3 -O - http://@ADDRESS@/healthz
  elif command -v kubectl >/dev/null; then
    HOME=/nonexistent KUBECONFIG=/dev/null NO_PROXY='*' limited 5 kubectl \
      --server=http://@ADDRESS@ --request-timeout=3s get --raw /healthz
  else return 2; fi
}
main_process() { systemctl show "$unit" -p MainPID --value 2>/dev/null; }
is_healthy() {
  answer=$(ask_health 2>/dev/null)
  asked=$?
  if [ -z '@ADDRESS@' ]; then asked=2; fi
  if [ "$asked" = 2 ]; then
    before=$(main_process)
    sleep 5
    [ "${before:-0}" != 0 ] && [ "$(main_process)" = "$before" ]
    return
  fi
  [ "$answer" = ok ]
}
wait_for_health() {
  waited=0
  until is_healthy; do
    [ "$waited" -lt "$1" ] || return 1
    sleep 1
    waited=$((waited + 1))
  done
}
