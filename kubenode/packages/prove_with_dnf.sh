# shellcheck shell=sh
# Fetch a repository's lists into a folder of their own, and touch nothing of the host's dnf. Its
# settings, such as a proxy, count.

needs dnf grep tail
# shellcheck disable=SC2015  # the last is for either failure
mkdir "$staged" && printf %s "$content_1" | base64 -d >"$staged/key.asc" &&
  printf %s "$content_2" | base64 -d >"$staged/@NAME@.repo" || not_proven "cannot write to $staged"
# the lock is not for what dnf starts
with_dnf() {
  dnf -y --noplugins --setopt=reposdir="$staged" --setopt=cachedir="$staged/cache" \
    --setopt=persistdir="$staged/state" --setopt=logdir="$staged/log" \
    --setopt='*.skip_if_unavailable=0' --setopt='*.timeout=@SECONDS@' --setopt='*.retries=1' \
    --setopt=disable_excludes=main "$@" 9>&-
}
if ! said=$(with_dnf makecache 2>&1); then
  printf '%s\n' "$said" | grep -E -i 'error|failed|code|curl' | tail -n 10 >&2
  # it says nothing of the clock
  case $said in
    *'ertificate'*'SSL'* | *'SSL'*'ertificate'* | *'(60)'*)
      why='has a TLS certificate that this host does not trust';;
    *'has expired'*) why="is signed by a key that has expired: ask who signs it ($clock)";;
    *'signature is not available'*)
      why='is not signed: where it is never, set signs_metadata to False';;
    *'GPG signature'*)
      why='is not signed by the pinned key, or that has expired: see which key signs it, and what'
      why="$why fingerprint is set ($clock)";;
    *'code: 404'*) why='has not what is asked for: see its url';;
    *) why='gave no lists';;
  esac
  not_proven "repository @NAME@ $why"
fi
for package in @PACKAGES@; do
  found=$(with_dnf -C -q repoquery --available --qf '%{name} is there\n' "$package" 2>/dev/null)
  case $nl$found$nl in
    *"$nl$package is there$nl"*) ;;
    *) not_proven "repository @NAME@ has no package $package";;
  esac
done
