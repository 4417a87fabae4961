# shellcheck shell=sh
# Fetch a repository's lists into a folder of their own, where it is the only repository, and its key
# the only one that is trusted.

needs grep rpm sed tail zypper
# shellcheck disable=SC2015  # the last is for either failure
mkdir -p "$staged/etc/zypp/repos.d" && printf %s "$content_1" | base64 -d >"$staged/key.asc" &&
  printf %s "$content_2" | base64 -d >"$staged/etc/zypp/repos.d/@NAME@.repo" &&
  rpm --root "$staged" --import "$staged/key.asc" || not_proven "cannot write to $staged"
# what the host says it is, since the folder is no system
release=$(sed -n 's/^VERSION_ID="\{0,1\}\([0-9][0-9.]*\)"\{0,1\}$/\1/p' /etc/os-release)
# the lock is not for what zypper starts
with_zypper() {
  ZYPP_LOGFILE=$staged/log zypper --root "$staged" ${release:+--releasever "$release"} \
    --non-interactive "$@" 9>&-
}
said=$(with_zypper refresh 2>&1)
status=$?
case $said in *'has expired'* | *EXPIRED*) status=1;; esac
if [ "$status" != 0 ]; then
  printf '%s\n' "$said" | grep -E '^ - |Error|Warning|expected|but got' | tail -n 10 >&2
  case $said in
    *'SSL certificate'* | *'ertificate verif'*)
      why='has a TLS certificate that this host does not trust';;
    *'has expired'* | *EXPIRED*)
      why="is signed by a key that has expired: ask who signs it ($clock)";;
    *'is unsigned'*) why='is not signed: where it is never, leave signs_metadata out';;
    *'ignature verification failed'*)
      why='is not signed by the pinned key: see which key signs it, and what fingerprint is set';;
    *'not found on medium'*) why='has not what is asked for: see its url';;
    *) why='gave no lists';;
  esac
  not_proven "repository @NAME@ $why"
fi
for package in @PACKAGES@; do
  found=$(with_zypper --no-refresh --xmlout search -s --match-exact -t package "$package" 2>/dev/null)
  case $found in
    *"name=\"$package\""*) ;;
    *) not_proven "repository @NAME@ has no package $package";;
  esac
done
