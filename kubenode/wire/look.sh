# shellcheck shell=sh
# The whole of a look at a host: runs the probes, and seals what they say.
# The shell that looks at the host, and all that it starts, has KUBENODE_LOOK in its environment: by
# it they are found and ended, whatever their parent or process group. What collects the answer and
# prints it has not: it ends when there is nothing more to collect. KUBENODE_PATH is the user's PATH,
# for the shell that looks at the host: see usable_path.
# CR stays: a file with Windows line ends must be seen as one. All else that is not printable ASCII
# is replaced on the host, so that no terminal and no decoder ever sees it.

@WATCH@
missing=
for program in @PROGRAMS@; do
  command -v "$program" >/dev/null || missing="$missing $program"
done
if [ -n "$missing" ]; then printf '\n%%answer @COMMAND@ missing%s\n' "$missing"; exit 0; fi
watch 2>/dev/null </dev/null &
watch=$!
answer=$(
  KUBENODE_LOOK=$$. KUBENODE_PATH=$KUBENODE_PATH sh -c @BODY@ 2>/dev/null </dev/null |
    tr -c '\11\12\15\40-\176' '?' | head -c @MOST_BYTES@
)
{ kill "$watch"; wait "$watch"; } 2>/dev/null
# shellcheck disable=SC2046  # split on purpose
set -- $(printf %s "$answer" | cksum)
printf '\n%%answer @COMMAND@ %s %s\n%s\n' "$1" "$2" "$answer"
