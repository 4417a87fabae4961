# shellcheck shell=sh
# CRI-O that upstream's static bundle brings: see program() of archive.py, which sets these.

# $crio_build    the name of the new build; $crio_old of the one in use, empty for none
# $crio_version  what it calls itself; $crio_sum the archive's sha256, by which it waits in
#                $archive_store
# $crio_unit_text, $crio_unit_sum    the unit in base64, and its sum; $crio_conf_* the drop-in's,
#                $crio_policy_* that of what images are trusted

crio_stage=
crio_fail() {
  [ -z "$crio_stage" ] || rm -rf -- "$crio_stage"
  fail "$@"
}
crio_current() { if [ -L @ROOT@/current ]; then readlink @ROOT@/current; fi; }
crio_is_whole() {
  [ -f "@ROOT@/$1/@SUMS@" ] && [ ! -L "@ROOT@/$1" ] || return 1
  [ "$(tail -n 1 "@ROOT@/$1/@SUMS@")" = @SUMS_END@ ] || return 1
  (cd "@ROOT@/$1" && grep -Fxv @SUMS_END@ @SUMS@ | sha256sum -c) >/dev/null 2>&1
}
# crio_take PROGRAM: one member of the bundle, and nothing else, whatever it calls itself. tar writes
# to standard output only: no link, owner or mode of the archive's comes to the host.
crio_take() {
  for member in "cri-o/bin/$1" "./cri-o/bin/$1" "bin/$1"; do
    said=$( {
      # shellcheck disable=SC3045  # where it is missing there is no limit
      ulimit -f @MOST_BLOCKS@ 2>/dev/null
      limited 300 tar -xzOf "$archive_store/$crio_sum" "$member" >"$crio_stage/$1"
    } 2>&1) && [ -s "$crio_stage/$1" ] && return
  done
  rm -f "$crio_stage/$1"
  return 1
}
crio_try() {
  said=$(PATH=$crio_stage:$PATH limited 20 "$crio_stage/crio" --config= --config-dir= --version 2>&1 </dev/null |
    head -n 1 | cut -c1-200)
  case $said in
    "crio version $crio_version" | "crio version $crio_version"[+~]*) ;;
    'crio version '*) crio_fail "the archive says it is CRI-O $crio_version, and its crio says" \
      "\"$said\": state its own version; nothing was changed";;
    *) crio_fail "this CRI-O does not run here ($said): state the archive for this architecture;" \
      'nothing was changed';;
  esac
}
# crio_unpack: the new build, whole or not at all
crio_unpack() {
  has_stored "$crio_sum" ||
    fail "$archive_store/$crio_sum is not there, or not whole: nothing was changed, run again"
  crio_stage=@ROOT@/.$crio_build.kubenode.$$
  mkdir -m 0755 "$crio_stage" || fail "cannot write in @ROOT@: nothing was changed; $(room @ROOT@)"
  for program in crio pinns conmon crun; do
    crio_take "$program" || crio_fail "this is no bundle of CRI-O's: it should have cri-o/bin/$program" \
      "in it (${said:-it is empty}). Upstream's cri-o.ARCH.vVERSION.tar.gz is right;" \
      "nothing was changed; $(room @ROOT@)"
  done
  for program in conmonrs runc crio-credential-provider; do crio_take "$program" || :; done
  owner=$(id -u):$(id -g)
  (
    cd "$crio_stage" || exit 1
    for program in *; do
      chown "$owner" "$program" && chmod 0755 "$program" && sync_file "$program" || exit 1
    done
    sha256sum -- * >.sums && echo @SUMS_END@ >>.sums && mv .sums @SUMS@ && chmod 0644 @SUMS@ &&
      sync_file @SUMS@ && sync_directory "$crio_stage"
  ) || crio_fail "cannot write in @ROOT@: nothing was changed; $(room @ROOT@)"
  crio_try
  # one that is there is not whole
  # shellcheck disable=SC2015  # the last is for either failure
  rm -rf -- "@ROOT@/${crio_build:?}" && mv -T "$crio_stage" "@ROOT@/$crio_build" &&
    sync_directory @ROOT@ || crio_fail "cannot make @ROOT@/$crio_build: nothing was changed"
  crio_stage=
}
program_expected() { [ "$(crio_current)" = "$crio_old" ]; }
program_fetch() {
  needs base64 chmod chown cut df grep gzip head id ln mkdir mv readlink rm sha256sum tail tar
  for file in /etc/systemd/system/crio.service /run/systemd/system/crio.service; do
    [ ! -f "$file" ] || fail "$file wins over the unit of the archive: remove it first;" \
      'nothing was changed'
  done
  for link in crio pinns; do
    case $(readlink "@PROGRAMS_IN@/$link") in
      "@ROOT@/current/$link") ;;
      *) [ ! -e "@PROGRAMS_IN@/$link" ] ||
        fail "@PROGRAMS_IN@/$link is none of kubenode's: remove it first; nothing was changed";;
    esac
  done
  make_directory @ROOT@ || fail 'cannot make @ROOT@: nothing was changed'
  for left in @ROOT@/.*.kubenode.[0-9]*; do if [ -d "$left" ]; then rm -rf -- "$left"; fi; done
  crio_is_whole "$crio_build" || crio_unpack
  rm -f "$archive_store/$crio_sum"
  candidate=@ROOT@/$crio_build
}
# the build before stays where it is
program_keep() { :; }
# crio_file PATH SUM TEXT: the file says that
crio_file() {
  make_directory "${1%/*}" || return 1
  now=$(sum_of "$1") || return 1
  [ "$now" = "$2" ] || { stage "$1" "$2" "$3" && commit "$1" "$now"; }
}
crio_reload() { [ ! -d /run/systemd/system ] || systemctl daemon-reload; }
crio_use() {
  [ -e @POLICY@ ] || crio_file @POLICY@ "$crio_policy_sum" "$crio_policy_text" || return 1
  point @ROOT@/current "$1" && point @PROGRAMS_IN@/crio @ROOT@/current/crio &&
    point @PROGRAMS_IN@/pinns @ROOT@/current/pinns &&
    crio_file @DROP_IN@ "$crio_conf_sum" "$crio_conf_text" &&
    crio_file @UNIT_FILE@ "$crio_unit_sum" "$crio_unit_text" && crio_reload
}
program_switch() { crio_use "$crio_build"; }
program_is_there() {
  [ "$(crio_current)" = "$crio_build" ] && crio_is_whole "$crio_build" &&
    [ "$(readlink @PROGRAMS_IN@/crio)" = @ROOT@/current/crio ] &&
    [ "$(sum_of @UNIT_FILE@)" = "$crio_unit_sum" ] || return 1
  [ "$restarts" ] || return 0
  pid=$(systemctl show -p MainPID "$unit"); pid=${pid#MainPID=}
  case $(readlink "/proc/$pid/exe") in
    "@ROOT@/$crio_build"/*) ;;
    @ROOT@/*) return 1;;
  esac
}
program_back() {
  if [ -n "$crio_old" ]; then
    crio_is_whole "$crio_old" || { say "@ROOT@/$crio_old is not whole any more"; return 1; }
    crio_use "$crio_old"
    return
  fi
  # there was none: policy.json stays, which nothing else reads
  for link in crio pinns; do
    [ "$(readlink "@PROGRAMS_IN@/$link")" != "@ROOT@/current/$link" ] || rm -f "@PROGRAMS_IN@/$link"
  done
  [ "$(head -n 1 @UNIT_FILE@ 2>/dev/null)" != @HEAD@ ] || rm -f @UNIT_FILE@
  rm -f @DROP_IN@ @ROOT@/current && crio_reload
}
# the one before stays, and what a monitor of a running container is from
program_hold() {
  used=" $crio_build $crio_old "
  for process in /proc/[0-9]*/exe; do
    program=$(readlink "$process") || continue
    case $program in
      @ROOT@/*) program=${program#@ROOT@/}; used="$used${program%%/*} ";;
    esac
  done
  for left in @ROOT@/[0-9]*; do
    case $used in *" ${left##*/} "*) continue;; esac
    [ -f "$left/@SUMS@" ] && [ ! -L "$left" ] || continue
    rm -rf -- "$left" || say "$left, which nothing uses, cannot be removed"
  done
}
