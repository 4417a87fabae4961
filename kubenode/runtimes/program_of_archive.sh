# shellcheck shell=sh
# A runtime's program that a release archive brings, and packages that go for it or come for it.

program_expected() { [ "$(archive_current)" = "$archive_old" ] && pm_expected; }
# what has to be downloaded comes first: what is unpacked then costs space only
program_fetch() {
  if [ -n "$installs$removes" ]; then pm_fetch && pm_unpack || return 1; fi
  archive_prepare
  candidate=${candidate:-$change/root/usr/bin:$change/root/usr/sbin}
}
program_keep() { [ -z "$installs$removes" ] || { pm_keep && archive_keep; }; }
# a package that goes stops its daemon: the archive's program is in place before, and after
program_switch() {
  if [ -n "$archive_build" ]; then
    archive_switch && { [ -z "$installs$removes" ] || pm_switch; }
  else
    { [ -z "$installs$removes" ] || pm_switch; } && archive_switch
  fi && archive_restore
}
program_is_there() { archive_is_there && pm_is_there && archive_is_restored && archive_runs; }
# what follows may be another for an archive, whose functions come later.
# archive_runs: whether the daemon that runs is of the new build: the old one's program is still there
archive_runs() {
  [ "$restarts" ] || return 0
  pid=$(systemctl show -p MainPID "$unit"); pid=${pid#MainPID=}
  case ${archive_build:+in}:$(readlink "/proc/$pid/exe") in
    in:"$archive_root/$archive_build"/*) return 0;;
    in:* | :"$archive_root"/* | :) return 1;;
  esac
}
# archive_keep: keep what packages would take along or overwrite, though it is somebody's;
# archive_restore: put that back; archive_is_restored: whether it is. Conffiles are no matter of it.
archive_keep() { :; }
archive_restore() { :; }
archive_is_restored() { :; }
program_back() {
  archive_back || return 1
  [ -z "$installs$removes" ] || { pm_back && archive_restore; }
}
program_hold() {
  archive_prune || say "builds that nothing uses stay in $archive_root"
  pm_hold
}
