# shellcheck shell=sh
# Unpack a release of containerd beside the others, and switch to it and back: see change() of
# archive_change.py, which sets these variables.

# $archive_root     the directory with all builds, each in one of its own, and the link "current"
# $archive_build    the name of the new one, empty to leave archives
# $archive_version  what it calls itself
# $archive_old      the one that "current" leads to now, empty for none
# $archive_sum      sha256 of containerd's archive
# $archive_runc_sum that of runc, empty to use the host's own
# $archive_store    where these wait, each by its sha256
# $archive_programs_in, $archive_runc_in     where the links are
# $archive_unit_file     path of the unit; $archive_units_above are those of units that win over it
# $archive_unit_text, $archive_unit_sum      its text in base64, and its sum
#
# archive_prepare  unpacks and tries it, and sets $candidate to its directory. It ends the shell
#                  where it cannot, and nothing that runs was changed
# archive_switch   to the new one; archive_back to the old one, whatever stage the other was stopped
#                  at, twice as well as once. Both return 1 where they cannot, and say why. Neither
#                  restarts the daemon
# archive_is_there whether all of the switch was done
# archive_prune    removes builds that nothing uses: neither a link, nor a process

archive_programs='containerd containerd-shim-runc-v2 ctr runc'
# archive_members FILE: succeeds when all that is in it is in bin/
archive_members() {
  members=$(limited 300 tar -tzf "$1" 2>/dev/null | head -c 8192)
  count=0
  set -f; IFS=$nl
  for member in $members; do
    count=$((count + 1))
    case ${member#./} in
      '' | bin/) ;;
      bin/*/* | bin/.*) break;;
      bin/*[!A-Za-z0-9_.-]*) break;;
      bin/?*) ;;
      *) break;;
    esac
    member=
  done
  set +f; unset IFS
  [ -z "$member" ] && [ "$count" -gt 0 ] && [ "$count" -le 64 ]
}
# archive_take FILE PROGRAM: one member of it, and nothing else, whatever it calls itself. tar
# writes to standard output only: no link, owner or mode of the archive's comes to the host.
archive_take() {
  for member in "bin/$2" "./bin/$2"; do
    said=$( {
      # shellcheck disable=SC3045  # where it is missing there is no limit
      ulimit -f @MOST_BLOCKS@ 2>/dev/null
      limited 300 tar -xzOf "$1" "$member" >"$archive_stage/$2"
    } 2>&1) && [ -s "$archive_stage/$2" ] && return
  done
  return 1
}
# archive_run PROGRAM: what a program of the new build says of its version, in $said
archive_run() {
  said=$(limited 20 "$archive_stage/$1" --version 2>&1 </dev/null | head -c 2000)
  said=$(printf '%s\n' "$said" | head -n 3 | cut -c1-300)
}
# archive_try: whether the new build runs here, and is what it was said to be
archive_try() {
  archive_run containerd
  set -f
  # shellcheck disable=SC2086  # split on purpose
  set -- $said
  set +f
  case $1:${3#v} in
    containerd:"$archive_version" | containerd:"$archive_version"[~+]*) ;;
    containerd:*)
      archive_fail "the archive says it is containerd $archive_version, and its containerd says" \
        "\"$said\": state its own version; nothing was changed";;
    *)
      archive_fail "this containerd does not run here ($said). Where this host's libc is too old" \
        "for it, or another one, @TAKE_STATIC@; nothing was changed";;
  esac
  if [ -z "$archive_runc_sum" ]; then return 0; fi
  archive_run runc
  case $said in
    'runc version '*) ;;
    *)
      archive_fail "this runc does not run here, or is none ($said): state upstream's runc.ARCH" \
        'for this architecture; nothing was changed';;
  esac
}
archive_full() {
  archive_fail "cannot write in $archive_root: nothing was changed; $(room "$archive_root")"
}
# archive_unpack: the new build, whole or not at all
archive_unpack() {
  for sum in $archive_sum $archive_runc_sum; do
    has_stored "$sum" ||
      archive_fail "$archive_store/$sum is not there, or not whole: nothing was changed, run again"
  done
  archive_members "$archive_store/$archive_sum" ||
    archive_fail "the archive is none of containerd's: it should have bin/containerd and what" \
      "is beside it, and has ${member:-nothing to be read}. Upstream's" \
      'containerd-VERSION-linux-ARCH.tar.gz is right; nothing was changed'
  archive_stage=$archive_root/.$archive_build.kubenode.$$
  mkdir -m 0755 "$archive_stage" || archive_full
  for program in containerd containerd-shim-runc-v2 ctr; do
    archive_take "$archive_store/$archive_sum" "$program" || archive_fail "cannot unpack $program" \
      "(${said:-it is not in the archive, or empty}): nothing was changed; $(room "$archive_root")"
  done
  if [ -n "$archive_runc_sum" ]; then
    said=$(cp "$archive_store/$archive_runc_sum" "$archive_stage/runc" 2>&1) ||
      archive_fail "cannot copy runc ($said): nothing was changed; $(room "$archive_root")"
  fi
  archive_seal || archive_full
  archive_try
  # one that is there is not whole: what runs from it may go on to find its files
  if [ -d "$archive_root/$archive_build" ] && [ ! -L "$archive_root/$archive_build" ]; then
    for program in $archive_programs @SUMS@; do
      [ ! -e "$archive_stage/$program" ] ||
        mv -f "$archive_stage/$program" "$archive_root/$archive_build/$program" ||
        archive_fail "cannot replace $archive_root/$archive_build/$program: run again"
    done
    rmdir "$archive_stage"
  else
    mv -T "$archive_stage" "$archive_root/$archive_build" ||
      archive_fail "cannot make $archive_root/$archive_build: nothing was changed"
  fi
  archive_stage=
  # shellcheck disable=SC2015  # the last is for either failure
  sync_directory "$archive_root/$archive_build" && sync_directory "$archive_root" ||
    archive_fail "cannot write in $archive_root: run again"
}
# archive_unit_counts: fails where another unit than this one decides what systemd starts
archive_unit_counts() {
  # shellcheck disable=SC2086  # split on purpose
  for file in $archive_units_above "$archive_unit_file"; do
    [ -f "$file" ] || continue
    grep -q "^ExecStart=$archive_programs_in/containerd\( \|$\)" "$file" && continue
    fail "$file starts another containerd than $archive_programs_in/containerd, and wins over" \
      "the unit of the archive: change its ExecStart=, or remove it; nothing was changed"
  done
}
# archive_has_runc: whether the host has one, besides what a build has brought
archive_has_runc() {
  set -f; IFS=:
  # shellcheck disable=SC2086  # split on purpose
  set -- $PATH
  set +f; unset IFS
  for directory; do
    [ -x "$directory/runc" ] || continue
    [ "$(readlink "$directory/runc")" = "$archive_root/current/runc" ] || return 0
  done
  return 1
}
archive_prepare() {
  needs base64 chmod chown cp cut df grep gzip head id ln mkdir mv readlink rm rmdir sha256sum tar
  [ "$(archive_current)" = "$archive_old" ] ||
    fail "$archive_root/current was changed meanwhile: nothing was changed by this run, run again"
  [ -n "$archive_build" ] || { candidate=; return 0; }
  archive_unit_counts
  [ -n "$archive_runc_sum" ] || archive_has_runc ||
    fail 'this host has no runc of its own, and the archive states none: state runc too;' \
      'nothing was changed'
  make_directory "$archive_root" || fail "cannot make $archive_root: nothing was changed"
  for left in "$archive_root"/.*.kubenode.[0-9]*; do
    if [ -d "$left" ] || [ -L "$left" ]; then rm -rf -- "$left"; fi
  done
  archive_is_whole "$archive_build" || archive_unpack
  for sum in $archive_sum $archive_runc_sum; do rm -f "$archive_store/$sum"; done
  candidate=$archive_root/$archive_build
}

archive_link_of() {
  case $1 in runc) link=$archive_runc_in/runc;; *) link=$archive_programs_in/$1;; esac
}
# archive_link PROGRAM BUILD: its link fits a build; what somebody else has put there is kept beside
# it, and comes back
archive_link() {
  archive_link_of "$1"
  is_ours=
  case $(readlink "$link") in "$archive_root/current/$1") is_ours=yes;; esac
  if [ -n "$2" ] && [ -e "$archive_root/$2/$1" ]; then
    [ -z "$is_ours" ] || return 0
    if [ -d "$link" ]; then say "$link is a directory: remove it"; return 1; fi
    if [ -L "$link" ] || [ -e "$link" ]; then
      rm -f "$link@BACKUP_SUFFIX@"
      # a second name, so that there is no moment without the first
      if [ -L "$link" ]; then cp -P "$link" "$link@BACKUP_SUFFIX@"
      else ln "$link" "$link@BACKUP_SUFFIX@"; fi || return 1
      sync_directory "${link%/*}" || return 1
    fi
    point "$link" "$archive_root/current/$1"
  elif [ -n "$is_ours" ]; then
    if [ -L "$link@BACKUP_SUFFIX@" ] || [ -e "$link@BACKUP_SUFFIX@" ]; then
      mv -fT "$link@BACKUP_SUFFIX@" "$link"
    else rm -f "$link"; fi && sync_directory "${link%/*}"
  fi
}
# archive_unit BUILD: the unit is there for a build, and not without one. One that is not kubenode's
# stays, see archive_unit_counts.
archive_unit() {
  if [ -f "$archive_unit_file" ]; then
    case $(head -n 1 "$archive_unit_file") in '@UNIT_BEGINS@') ;; *) return 0;; esac
  fi
  now=$(sum_of "$archive_unit_file") || return 1
  if [ -z "$1" ]; then
    [ "$now" != - ] || return 0
    rm -f "$archive_unit_file" && sync_directory "${archive_unit_file%/*}" || return 1
  else
    [ "$now" != "$archive_unit_sum" ] || return 0
    stage "$archive_unit_file" "$archive_unit_sum" "$archive_unit_text" &&
      commit "$archive_unit_file" "$now" || return 1
  fi
  archive_reload
}
archive_reload() { [ ! -d /run/systemd/system ] || systemctl daemon-reload; }
# archive_starts: whether systemd starts the program that the link leads to
archive_starts() {
  [ -d /run/systemd/system ] || return 0
  case $(systemctl show -p ExecStart containerd.service) in
    *"path=$archive_programs_in/containerd "*) return 0;;
  esac
  say "containerd.service starts another program than $archive_programs_in/containerd: see" \
    'systemctl cat containerd.service for the drop-in that states ExecStart='
  return 1
}
# archive_use BUILD: with a build, in the order in which each step has what it needs. A daemon of
# 2.x takes a shim of 1.x, and not the other way round: the shim comes after the unit.
archive_use() {
  if [ -n "$1" ]; then
    point "$archive_root/current" "$1" && archive_link containerd "$1" &&
      archive_link ctr "$1" && archive_unit "$1" &&
      archive_link containerd-shim-runc-v2 "$1" && archive_link runc "$1"
  else
    archive_link runc '' && archive_link containerd-shim-runc-v2 '' && archive_unit '' &&
      archive_link ctr '' && archive_link containerd '' &&
      rm -f "$archive_root/current" && sync_directory "$archive_root"
  fi
}
# archive_leave_shim: containerd looks for a running pod's shim by the path that it was started by,
# and gives the pod up where nothing is there (rancher/rke2#10613). So that path leads to the shim of
# the package then.
archive_leave_shim() {
  archive_link_of containerd-shim-runc-v2
  if [ -e "$link" ]; then return 0; fi
  for directory in /usr/sbin /usr/bin /sbin /bin; do
    [ -x "$directory/${link##*/}" ] || continue
    point "$link" "$directory/${link##*/}"
    return
  done
}
archive_switch() {
  if [ -z "$archive_build" ]; then archive_use '' && archive_leave_shim; return; fi
  archive_is_whole "$archive_build" || {
    say "$archive_root/$archive_build is not whole: run again"
    return 1
  }
  archive_use "$archive_build" && archive_starts
}
archive_back() {
  # nothing was ever there
  [ -d "$archive_root" ] || return 0
  if [ -n "$archive_old" ] && ! archive_is_whole "$archive_old"; then
    say "$archive_root/$archive_old is not whole any more:" \
      "$archive_root/current stays with $(archive_current)"
    return 1
  fi
  # it needs no unit of the one that goes: a unit that was written before it was read is stale
  archive_use "$archive_old" && archive_reload
}
# archive_is_there: whether all of the switch was done
archive_is_there() {
  [ "$(archive_current)" = "$archive_build" ] || return 1
  for program in $archive_programs; do
    archive_link_of "$program"
    if [ -n "$archive_build" ] && [ -e "$archive_root/$archive_build/$program" ]; then
      [ "$(readlink "$link")" = "$archive_root/current/$program" ] || return 1
    elif [ "$(readlink "$link")" = "$archive_root/current/$program" ]; then return 1; fi
  done
  if [ -z "$archive_build" ]; then return 0; fi
  [ -f "$archive_unit_file" ] && archive_is_whole "$archive_build" && archive_starts
}
