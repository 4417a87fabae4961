# shellcheck shell=sh
# Begins each look at a host, and ends what it started when nobody listens any more.

LC_ALL=C; export LC_ALL
# The other way round: here nobody has looked yet whose the directories in PATH are.
KUBENODE_PATH="${PATH:+$PATH:}@DIRECTORIES@"
PATH="@DIRECTORIES@${PATH:+:$PATH}"; export PATH
@SWEEP@
# An empty line each second finds out whether anybody listens.
watch() {
  trap '' HUP PIPE
  trap 'kill "$!"; exit' TERM
  left=@MOST_SECONDS@
  while printf '\n' && [ "$left" -gt 0 ] && kill -0 $$; do
    sleep 1 >/dev/null & wait "$!"
    left=$((left - 1))
  done
  # More than once: what is about to start has no mark yet. What waits for a device nobody can end.
  for left in 5 4 3 2 1 0; do
    sweep $$.
    [ "$left" != 1 ] || kill -9 $$
    sleep 1 >/dev/null & wait "$!"
  done
}
