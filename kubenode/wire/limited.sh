# shellcheck shell=sh
# A time limit for a program: for probes' functions.sh, and by time_limit.py for what operations run.
# It needs sweep() of sweep.sh, $KUBENODE_LOOK and $memory.

# limited SECONDS COMMAND...: run a program, not longer than that. Its code is 124 or 137 then.
# Its own mark, as what a program has started outlives it, and holds its output open. Nobody needs
# what a program says that is past its time: it is not asked to end, it is ended.
limited() {
  (
    mark=$KUBENODE_LOOK${2##*/}.
    KUBENODE_LOOK=$mark; export KUBENODE_LOOK
    # shellcheck disable=SC3045  # where it is missing there is no limit
    ulimit -S -v "$memory"
    if command -v timeout >/dev/null; then
      timeout -s KILL "$@"
      status=$?
    else
      seconds=$1; shift
      "$@" &
      program=$!
      (
        trap 'kill "$!"; exit' TERM
        sleep "$seconds" & wait "$!"
        kill -9 "$program"
      ) >/dev/null &
      wait "$program"
      status=$?
      kill "$!"
    fi
    case $status in 124 | 137) sweep "$mark";; esac
    exit "$status"
  )
}
