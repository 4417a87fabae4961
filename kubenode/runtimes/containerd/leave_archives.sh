# shellcheck shell=sh
# Take away releases of archives, with their links and unit: see archive_change.sh for $archive_root.

archive_use '' || fail "the links of the archive's programs cannot be removed: run again"
for build in "$archive_root"/[0-9]*; do
  if [ -d "$build" ] && [ ! -L "$build" ]; then rm -rf -- "$build"; fi
done
for left in "$archive_root"/.*.kubenode.[0-9]* "$archive_store"; do
  if [ -d "$left" ] && [ ! -L "$left" ]; then rm -rf -- "$left"; fi
done
rmdir "$archive_root" "${archive_root%/*}" 2>/dev/null || :
