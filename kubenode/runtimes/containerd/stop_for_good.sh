# shellcheck shell=sh
# Stop containerd for good, and before that the containers that run, where that was asked for.

ends=@ENDS@; disables=@DISABLES@
# running: the containers that run, as NAMESPACE ID, a line each
running() {
  for bundle in @STATE@/io.containerd.runtime.v2.task/*/*; do
    pid=
    [ -f "$bundle/init.pid" ] && read -r pid <"$bundle/init.pid"
    case $pid in '' | *[!0-9]*) continue;; esac
    if [ -d "/proc/$pid" ]; then
      bundle=${bundle#@STATE@/io.containerd.runtime.v2.task/}
      printf '%s %s\n' "${bundle%%/*}" "${bundle#*/}"
    fi
  done
}
# end NAMESPACE ID
end() {
  limited 20 ctr --address @SOCKET@ -n "$1" tasks kill --all --signal SIGKILL "$2"
  limited 20 ctr --address @SOCKET@ -n "$1" tasks delete --force "$2"
} >/dev/null 2>&1
if [ "$ends" ]; then
  # kubelet may start others while we look
  for _ in 1 2 3 4 5; do
    left=$(running)
    [ -n "$left" ] || break
    printf '%s\n' "$left" | while read -r namespace id; do end "$namespace" "$id"; done
  done
fi
left=$(running)
[ -z "$left" ] || fail "containers run, so containerd stays: $(printf '%s\n' "$left" | head -n 3)"
if [ -d /run/systemd/system ]; then
  systemctl stop @UNIT@ || fail "@UNIT@ cannot be stopped: nothing was removed"
  if [ "$disables" ]; then systemctl -q disable @UNIT@ 2>/dev/null || :; fi
fi
