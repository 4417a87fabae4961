# shellcheck shell=sh
# Fetch a repository's lists into a folder of their own, where it is the only repository, and its key
# the only one that is trusted.

needs gpg grep mkdir rpm sed tail zypper
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
    *'is unsigned'*) why='is not signed: where it is never, set signs_metadata to False';;
    *'ignature verification failed'*)
      why='is not signed by the pinned key: see which key signs it, and what fingerprint is set';;
    *'not found on medium'*) why='has not what is asked for: see its url';;
    *) why='gave no lists';;
  esac
  not_proven "repository @NAME@ $why"
fi
# zypper itself takes what an expired subkey has signed
lists=$staged/var/cache/zypp/raw/@NAME@/repodata
if grep -q '^repo_gpgcheck=1$' "$staged/etc/zypp/repos.d/@NAME@.repo"; then
  # shellcheck disable=SC2015  # the last is for either failure
  mkdir -m 0700 "$staged/gpg" &&
    gpg --homedir "$staged/gpg" --batch --dearmor <"$staged/key.asc" >"$staged/key.gpg" ||
    not_proven "cannot write to $staged"
  said=$(gpg --homedir "$staged/gpg" --batch --no-autostart --no-default-keyring --trust-model always \
    --keyring "$staged/key.gpg" --status-fd 1 --verify "$lists/repomd.xml.asc" "$lists/repomd.xml" \
    2>"$staged/gpg.log")
  case $said in
    *' EXPKEYSIG '* | *' REVKEYSIG '* | *' EXPSIG '*)
      not_proven "repository @NAME@ is signed by a key that has expired: ask who signs it ($clock)";;
    *' GOODSIG '*) ;;
    *)
      tail -n 10 "$staged/gpg.log" >&2
      not_proven "repository @NAME@ has lists whose signature gpg does not confirm";;
  esac
fi
for package in @PACKAGES@; do
  found=$(with_zypper --no-refresh --xmlout search -s --match-exact -t package "$package" 2>/dev/null)
  case $found in
    *"name=\"$package\""*) ;;
    *) not_proven "repository @NAME@ has no package $package";;
  esac
done
