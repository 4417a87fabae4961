# shellcheck shell=sh
# The folder in which a repository is proven: $staged, empty and root's.

needs base64 cat date id ls mkdir rm
staged=@STAGED@
mkdir -m 0755 "${staged%/*}" 2>/dev/null
# shellcheck disable=SC2046  # split on purpose
set -- $(ls -ldn "${staged%/*}")
case $1:${3-} in
  d????-??-?*:"$(id -u)") ;;
  *) fail "${staged%/*} must be a directory that root alone may write to: remove it";;
esac
rm -rf "$staged"
not_proven() {
  rm -rf "$staged"
  fail "$*: nothing was changed"
}
clock="the clock of this host says $(date -u '+%Y-%m-%d %H:%M') UTC"
