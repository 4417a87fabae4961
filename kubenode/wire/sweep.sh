# shellcheck shell=sh
# For watch.sh and functions.sh: end what a look has started.

# sweep MARK: end all processes that have the mark.
sweep() {
  for round in 1 2 3 4 5 6 7 8 9; do
    swept=
    for process in /proc/[0-9]*; do
      while IFS= read -r line || [ -n "$line" ]; do
        case $line in
          *"KUBENODE_LOOK=$1"*) kill -9 "${process#/proc/}" && swept=yes; break;;
        esac
      done <"$process/environ"
    done
    [ -n "$swept" ] || return 0
  done
}
