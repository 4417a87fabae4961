# shellcheck shell=sh
# Unpack upstream's static bundle of CRI-O beside others, and switch to it and back: see program() of
# archive.py, which sets these variables. What each function does stands in archive_change.sh, which
# has the same of containerd's archives.

# $archive_root     the directory with all builds
# $archive_build    the name of the new one, empty to leave archives; $archive_old of the one in use,
#                   empty for none
# $archive_version  what it calls itself; $archive_sum the archive's sha256, by which it waits in
#                   $archive_store
# $archive_unit_text, $archive_unit_sum      the unit in base64, and its sum; $archive_conf_* the
#                   drop-in's, $archive_policy_* that of what images are trusted
# $installs, $removes    packages that come instead of it, and that go for it: see apt_change.sh

# sudo may leave one of them out, and the program is not in the same one afterwards
PATH=$PATH:@PROGRAMS_IN@:/usr/bin
# archive_take PROGRAM: one member of the bundle, and nothing else, whatever it calls itself. tar
# writes to standard output only: no link, owner or mode of the archive's comes to the host.
archive_take() {
  for member in "cri-o/bin/$1" "./cri-o/bin/$1" "bin/$1"; do
    said=$( {
      # shellcheck disable=SC3045  # where it is missing there is no limit
      ulimit -f @MOST_BLOCKS@ 2>/dev/null
      limited 300 tar -xzOf "$archive_store/$archive_sum" "$member" >"$archive_stage/$1"
    } 2>&1) && [ -s "$archive_stage/$1" ] && return
  done
  rm -f "$archive_stage/$1"
  return 1
}
archive_try() {
  said=$(PATH=$archive_stage:$PATH limited 20 "$archive_stage/crio" --config= --config-dir= \
    --version 2>&1 </dev/null | head -n 1 | cut -c1-200)
  case $said in
    "crio version $archive_version" | "crio version $archive_version"[+~]*) ;;
    'crio version '*)
      archive_fail "the archive says it is CRI-O $archive_version, and its crio says \"$said\":" \
        'state its own version; nothing was changed';;
    *)
      archive_fail "this CRI-O does not run here ($said): state the archive for this" \
        'architecture; nothing was changed';;
  esac
}
# archive_unpack: the new build, whole or not at all
archive_unpack() {
  has_stored "$archive_sum" ||
    fail "$archive_store/$archive_sum is not there, or not whole: nothing was changed, run again"
  archive_stage=$archive_root/.$archive_build.kubenode.$$
  mkdir -m 0755 "$archive_stage" ||
    fail "cannot write in $archive_root: nothing was changed; $(room "$archive_root")"
  for program in crio pinns conmon crun; do
    archive_take "$program" || archive_fail "this is no bundle of CRI-O's: it should have" \
      "cri-o/bin/$program in it (${said:-it is empty}). Upstream's cri-o.ARCH.vVERSION.tar.gz is" \
      "right; nothing was changed; $(room "$archive_root")"
  done
  for program in conmonrs runc crio-credential-provider; do archive_take "$program" || :; done
  archive_seal || archive_fail "cannot write in $archive_root: nothing was changed; $(room "$archive_root")"
  archive_try
  # one that is there is not whole
  # shellcheck disable=SC2015  # the last is for either failure
  rm -rf -- "$archive_root/${archive_build:?}" &&
    mv -T "$archive_stage" "$archive_root/$archive_build" && sync_directory "$archive_root" ||
    archive_fail "cannot make $archive_root/$archive_build: nothing was changed"
  archive_stage=
}

# ---- What packages would take along, and what would need it afterwards

# archive_fits: fails where a file that stays needs what goes, and where one of the administrator's
# would go or be overwritten. It sets what of /etc is kept: $change/theirs goes with the packages that
# go, $change/comes is brought by those that come. Conffiles stay as they are with both.
archive_fits() {
  : >"$change/theirs"; : >"$change/goes"; : >"$change/comes"; : >"$change/owned"
  for name in $removes; do
    own_files "$name" >>"$change/theirs"
    # what is in /etc is kept
    files_of "$name" | while IFS= read -r path; do
      case $path in /etc/*) continue;; esac
      [ -d "$path" ] || printf '"%s"\n%s\n' "$path" "'$path'"
    done >>"$change/goes"
  done
  [ -n "$archive_build" ] || printf '%s\n' "$archive_root/" >>"$change/goes"
  if [ -n "$installs" ]; then
    for name in $(mine); do own_files "$name" >>"$change/owned"; done
    new_files >"$change/comes"
  fi
  edited=$(for name in $removes; do edited_files "$name"; done | grep -Fx -f "$change/theirs" |
    grep '^@DROP_INS@/' | head -n 1)
  [ -z "$edited" ] || fail "$edited is the package's and goes with it, and somebody has edited it:" \
    "move what is yours into a file of its own in @DROP_INS@, remove $edited, and run again;" \
    'nothing was changed'
  while IFS= read -r path; do
    case $path in @DROP_INS@/*) ;; *) continue;; esac
    [ ! -e "$path" ] || grep -qFx -e "$path" "$change/owned" ||
      fail "$path would be overwritten by the package's: give it another name; nothing was changed"
  done <"$change/comes"
  needing=$(
    find -L @MAIN@ @DROP_INS@ -type f 2>/dev/null | sort | while IFS= read -r file; do
      if [ "$file" = @DROP_IN@ ] || grep -qFx -e "$file" "$change/theirs"; then continue; fi
      lines=$(grep -nF -f "$change/goes" "$file" | grep -v '^[0-9]*:[[:space:]]*#') || continue
      printf '%s:%s ' "$file" "${lines%%:*}"
    done
  )
  [ -z "$needing" ] || fail "${needing}names a program that goes: state one that stays, or none;" \
    'nothing was changed'
}
# archive_keep: what is in /etc and no conffile comes back after packages came or went
archive_keep() {
  : >"$change/kept.list"
  sort -u "$change/theirs" "$change/comes" | while IFS= read -r path; do
    # CRI-O reads whatever is there: the package's own names the package's programs
    case $path in @DROP_INS@/*) continue;; esac
    if [ -L "$path" ] || [ -f "$path" ]; then
      mkdir -p "$change/kept${path%/*}" && cp -dp "$path" "$change/kept$path" || exit 1
      printf '%s\n' "$path" >>"$change/kept.list"
    fi
  done
}
# archive_is_lost FILE: whether a package has taken it, or put its own in its place
archive_is_lost() {
  if [ -L "$1" ]; then return 1; fi
  [ -e "$1" ] || return 0
  [ -f "$change/root$1" ] && [ "$(sum_of "$1")" = "$(sum_of "$change/root$1")" ] || return 1
  [ -L "$change/kept$1" ] || [ "$(sum_of "$1")" != "$(sum_of "$change/kept$1")" ]
}
archive_restore() {
  [ -e "$change/kept.list" ] || return 0
  while IFS= read -r path; do
    archive_is_lost "$path" || continue
    make_directory "${path%/*}" || return 1
    temp_of "$path"
    staged=$staged$temp$nl
    cp -dp "$change/kept$path" "$temp" && { [ -L "$temp" ] || sync_file "$temp"; } &&
      mv -fT "$temp" "$path" && sync_directory "${path%/*}" || return 1
  done <"$change/kept.list"
}
archive_is_restored() {
  [ -e "$change/kept.list" ] || return 0
  while IFS= read -r path; do
    ! archive_is_lost "$path" || return 1
  done <"$change/kept.list"
}

# ---- The switch

archive_prepare() {
  needs base64 chmod chown cp cut df find grep gzip head id ln mkdir mv readlink rm sed sha256sum \
    sort tail tar tr
  [ -z "$installs$removes" ] || archive_fits
  [ -n "$archive_build" ] || { candidate=; return 0; }
  for file in /etc/systemd/system/crio.service /run/systemd/system/crio.service; do
    [ ! -f "$file" ] || fail "$file wins over the unit of the archive: remove it first;" \
      'nothing was changed'
  done
  for link in crio pinns; do
    case $(readlink "@PROGRAMS_IN@/$link") in
      "$archive_root/current/$link") ;;
      *) [ ! -e "@PROGRAMS_IN@/$link" ] ||
        fail "@PROGRAMS_IN@/$link is none of kubenode's: remove it first; nothing was changed";;
    esac
  done
  make_directory "$archive_root" || fail "cannot make $archive_root: nothing was changed"
  for left in "$archive_root"/.*.kubenode.[0-9]*; do
    if [ -d "$left" ]; then rm -rf -- "$left"; fi
  done
  archive_is_whole "$archive_build" || archive_unpack
  rm -f "$archive_store/$archive_sum"
  candidate=$archive_root/$archive_build
}
# archive_file PATH SUM TEXT: the file says that
archive_file() {
  make_directory "${1%/*}" || return 1
  now=$(sum_of "$1") || return 1
  [ "$now" = "$2" ] || { stage "$1" "$2" "$3" && commit "$1" "$now"; }
}
archive_reload() { [ ! -d /run/systemd/system ] || systemctl daemon-reload; }
# archive_use BUILD: empty for none
archive_use() {
  if [ -z "$1" ]; then archive_leave; return; fi
  [ -e @POLICY@ ] || archive_file @POLICY@ "$archive_policy_sum" "$archive_policy_text" || return 1
  point "$archive_root/current" "$1" && point @PROGRAMS_IN@/crio "$archive_root/current/crio" &&
    point @PROGRAMS_IN@/pinns "$archive_root/current/pinns" &&
    archive_file @DROP_IN@ "$archive_conf_sum" "$archive_conf_text" &&
    archive_file @UNIT_FILE@ "$archive_unit_sum" "$archive_unit_text" && archive_reload
}
# archive_leave: policy.json stays, which nothing else reads, or the package's CRI-O
archive_leave() {
  for link in crio pinns; do
    [ "$(readlink "@PROGRAMS_IN@/$link")" != "$archive_root/current/$link" ] ||
      rm -f "@PROGRAMS_IN@/$link" || return 1
  done
  [ "$(head -n 1 @UNIT_FILE@ 2>/dev/null)" != @HEAD@ ] || rm -f @UNIT_FILE@ || return 1
  rm -f @DROP_IN@ "$archive_root/current" && archive_reload
}
archive_switch() {
  [ -z "$archive_build" ] || archive_is_whole "$archive_build" || {
    say "$archive_root/$archive_build is not whole: run again"
    return 1
  }
  archive_use "$archive_build"
}
archive_back() {
  [ -z "$archive_old" ] || archive_is_whole "$archive_old" || {
    say "$archive_root/$archive_old is not whole any more"
    return 1
  }
  archive_use "$archive_old"
}
archive_is_there() {
  [ "$(archive_current)" = "$archive_build" ] || return 1
  if [ -z "$archive_build" ]; then
    [ "$(readlink @PROGRAMS_IN@/crio)" != "$archive_root/current/crio" ] && [ ! -e @DROP_IN@ ] &&
      [ "$(head -n 1 @UNIT_FILE@ 2>/dev/null)" != @HEAD@ ]
    return
  fi
  archive_is_whole "$archive_build" && [ -e @DROP_IN@ ] &&
    [ "$(readlink @PROGRAMS_IN@/crio)" = "$archive_root/current/crio" ] &&
    [ "$(sum_of @UNIT_FILE@)" = "$archive_unit_sum" ]
}
# archive_runs: whether the daemon that runs is of the new build, or of none. A package's program and
# an archive's are told apart by the path that systemd starts
archive_runs() {
  [ "$restarts" ] || return 0
  pid=$(systemctl show -p MainPID "$unit"); pid=${pid#MainPID=}
  started_by=$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -Fx -e @PROGRAMS_IN@/crio)
  case ${archive_build:+in}:${started_by:+archive}:$(readlink "/proc/$pid/exe") in
    ::) return 1;;
    in:archive:"$archive_root/$archive_build"/*) return 0;;
    *:"$archive_root"/*) return 1;;
    in:archive:* | ::*) return 0;;
    *) return 1;;
  esac
}
