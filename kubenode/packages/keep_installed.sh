# shellcheck shell=sh
# The RPMs of what is installed come into $store, while a repository has them: see rpm_change.sh.

change=@DIRECTORY@
# shellcheck disable=SC2015  # the last is for either failure
make_directory "$store" && rm -rf "$change" && mkdir -m 0700 "$change" "$change/old" ||
  fail "cannot write to ${change%/*}: nothing was changed"
trap 'status=$?; rm -rf "$change"; (exit "$status"); ended' EXIT
for name in $(mine); do
  [ "$(version_of "$name")" ] || continue
  keep_package "$name" || fail 'nothing was changed'
  mv -f "$change/old/$name.rpm" "$store/$file" || fail "cannot write to $store: nothing was changed"
done
sync
