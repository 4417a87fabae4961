# shellcheck shell=sh
# The keys of Kubernetes' repositories, as its documentation and kubenode name them.

for path in @PLACES@; do
  case $path in *.kubenode-backup*) continue;; esac
  if [ -f "$path" ] && is_key "$path"; then exact "$path"; fi
done
value keys known
