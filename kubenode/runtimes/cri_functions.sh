# shellcheck shell=sh
# Whether CRI answers at $socket.

limited() { if command -v timeout >/dev/null; then timeout 20 "$@"; else "$@"; fi; }
# The CRI plugin has this id in every release, and ctr asks through the same socket as kubelet.
cri_serves() {
  limited ctr --address "$socket" --connect-timeout 2s plugins ls 2>/dev/null |
    grep -Eq '^io\.containerd\.grpc\.v1 +cri .* ok *$'
}
wait_for_cri() {
  waited=0
  until cri_serves; do
    [ "$waited" -lt "$1" ] || return 1
    sleep 1
    waited=$((waited + 1))
  done
}
last_words() { journalctl -u containerd.service -n 5 --no-pager -o cat 2>/dev/null | cut -c1-300; }
