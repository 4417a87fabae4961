# shellcheck shell=sh
# Whether containerd takes a configuration, and whether CRI answers at $socket.

# shellcheck disable=SC2069  # why it refuses a file is on standard error, the dump is not wanted
check() { limited @PROGRAM_SECONDS@ containerd --config="$1" config dump 2>&1 >/dev/null; }
# The CRI plugin has this id in every release, and ctr asks through the same socket as kubelet.
cri_serves() {
  limited @PROGRAM_SECONDS@ ctr --address "$socket" --connect-timeout 2s plugins ls 2>/dev/null |
    grep -Eq '^io\.containerd\.grpc\.v1 +cri .* ok *$'
}
# program_runs: whether the one that PATH has first runs at all
program_runs() { limited @PROGRAM_SECONDS@ containerd --version >/dev/null; }
