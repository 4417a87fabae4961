# shellcheck shell=sh
# The builds that archives bring, each in a directory of its own below $archive_root, and the link
# "current" to the one in use. $archive_build is the new one, $archive_old the one before.

archive_stage=
# archive_fail TEXT: nothing stays staged
archive_fail() {
  [ -z "$archive_stage" ] || rm -rf -- "$archive_stage"
  fail "$@"
}
# archive_current: the name of the build that is in use, empty for none
archive_current() {
  if [ -L "$archive_root/current" ]; then readlink "$archive_root/current"; fi
}
# archive_is_whole NAME: whether all of a build is there, as it was unpacked
archive_is_whole() {
  [ -f "$archive_root/$1/@SUMS@" ] && [ ! -L "$archive_root/$1" ] || return 1
  [ "$(tail -n 1 "$archive_root/$1/@SUMS@")" = @SUMS_END@ ] || return 1
  (cd "$archive_root/$1" && grep -Fxv @SUMS_END@ @SUMS@ | sha256sum -c) >/dev/null 2>&1
}
# archive_seal: the programs that are staged are root's and on disk, with their sums
archive_seal() (
  owner=$(id -u):$(id -g)
  cd "$archive_stage" || exit 1
  for program in *; do
    chown "$owner" "$program" && chmod 0755 "$program" && sync_file "$program" || exit 1
  done
  sha256sum -- * >.sums && echo @SUMS_END@ >>.sums && mv .sums @SUMS@ && chmod 0644 @SUMS@ &&
    sync_file @SUMS@ && sync_directory "$archive_stage"
)
# archive_prune: the one before stays, and what a running container's shim or monitor is from
archive_prune() {
  used=" $(archive_current) $archive_build $archive_old "
  for process in /proc/[0-9]*/exe; do
    program=$(readlink "$process") || continue
    case $program in
      "$archive_root"/*) program=${program#"$archive_root"/}; used="$used${program%%/*} ";;
    esac
  done
  for left in "$archive_root"/[0-9]*; do
    case $used in *" ${left##*/} "*) continue;; esac
    if [ -f "$left/@SUMS@" ] && [ ! -L "$left" ]; then rm -rf -- "$left" || return 1; fi
  done
}
