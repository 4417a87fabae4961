# shellcheck shell=sh
# cri-dockerd that a release archive brings: see program() of cri_archive.py, which sets these.

# $cri_build     the name of the new build's directory
# $cri_version   what it calls itself; $cri_sum the archive's sha256, by which it waits in
#                $archive_store
# $cri_service_text, $cri_service_sum    its unit in base64, and its sum; $cri_socket_* of its socket

unpacked=
undone() { [ -z "$unpacked" ] || rm -rf -- "$unpacked"; fail "$@"; }
# Docker Engine is not changed, and its file not read
check() { :; }
program_runs() { limited 20 cri-dockerd --version >/dev/null </dev/null; }
# what is in place is told from all that is there, see program_keep
program_expected() { :; }
cri_current() { if [ -L @ROOT@/current ]; then readlink @ROOT@/current; fi; }
# cri_unpack: the new build, whole or not at all
cri_unpack() {
  has_stored "$cri_sum" ||
    fail "$archive_store/$cri_sum is not there, or not whole: nothing was changed, run again"
  listed=$(limited 300 tar -tzf "$archive_store/$cri_sum" 2>/dev/null | head -c 4096)
  case $nl$listed$nl in
    *"$nl"cri-dockerd/cri-dockerd"$nl"*) ;;
    *) fail 'this is no archive of cri-dockerd: it should have cri-dockerd/cri-dockerd in it.' \
      "Upstream's cri-dockerd-VERSION.ARCH.tgz is right; nothing was changed";;
  esac
  unpacked=@ROOT@/.$cri_build.kubenode.$$
  mkdir -m 0755 "$unpacked" || fail "cannot write in @ROOT@: nothing was changed; $(room @ROOT@)"
  # tar writes to standard output only: no link, owner or mode of the archive's comes to the host
  why=$( {
    # shellcheck disable=SC3045  # where it is missing there is no limit
    ulimit -f @MOST_BLOCKS@ 2>/dev/null
    limited 300 tar -xzOf "$archive_store/$cri_sum" cri-dockerd/cri-dockerd >"$unpacked/cri-dockerd"
  } 2>&1) && [ -s "$unpacked/cri-dockerd" ] ||
    undone "cannot unpack cri-dockerd ($why): nothing was changed; $(room @ROOT@)"
  # shellcheck disable=SC2015  # the last is for either failure
  chown "$(id -u):$(id -g)" "$unpacked/cri-dockerd" && chmod 0755 "$unpacked/cri-dockerd" &&
    sync_file "$unpacked/cri-dockerd" || undone 'cannot write in @ROOT@: nothing was changed'
  says=$(limited 20 "$unpacked/cri-dockerd" --version 2>&1 </dev/null | head -n 1 | cut -c1-200)
  case $says in
    "cri-dockerd $cri_version" | "cri-dockerd $cri_version "*) ;;
    'cri-dockerd '*) undone "the archive says it is cri-dockerd $cri_version, and its program says" \
      "\"$says\": state its own version; nothing was changed";;
    *) undone "this cri-dockerd does not run here ($says): state the archive for this" \
      'architecture; nothing was changed';;
  esac
  rm -rf -- "@ROOT@/${cri_build:?}"
  # shellcheck disable=SC2015  # the last is for either failure
  mv -T "$unpacked" "@ROOT@/$cri_build" && sync_directory @ROOT@ ||
    undone 'cannot write in @ROOT@: nothing was changed'
  unpacked=
}
program_fetch() {
  needs base64 chmod chown cp cut df grep gzip head id ln mkdir mv readlink rm tail tar
  for file in /etc/systemd/system/cri-docker.service /run/systemd/system/cri-docker.service \
    /usr/lib/systemd/system/cri-docker.service /lib/systemd/system/cri-docker.service; do
    [ ! -f "$file" ] || fail "$file is there, of a package or of somebody: remove it first, or do" \
      'not ask for an archive; nothing was changed'
  done
  if [ -e @LINK@ ] && [ "$(readlink @LINK@)" != @ROOT@/current/cri-dockerd ]; then
    fail '@LINK@ is none of kubenode'"'"'s: remove it first; nothing was changed'
  fi
  for file in @SERVICE@ @SOCKET@; do
    if [ "$(sum_of "$file")" != - ] && [ "$(head -n 1 "$file")" != @HEAD@ ]; then
      fail "$file is somebody else's: remove it first; nothing was changed"
    fi
  done
  make_directory @ROOT@ || fail 'cannot make @ROOT@: nothing was changed'
  for left in @ROOT@/.*.kubenode.[0-9]*; do if [ -d "$left" ]; then rm -rf -- "$left"; fi; done
  [ -x "@ROOT@/$cri_build/cri-dockerd" ] || cri_unpack
  rm -f "$archive_store/$cri_sum"
  candidate=@ROOT@/$cri_build
}
# the build before stays where it is
program_keep() {
  cri_current >"$change/build" || return 1
  for file in @SERVICE@ @SOCKET@; do
    [ "$(sum_of "$file")" = - ] || cp -p "$file" "$change/${file##*/}" || return 1
  done
  sync
}
# cri_unit FILE SUM TEXT: the file says that
cri_unit() {
  make_directory "${1%/*}" && now=$(sum_of "$1") || return 1
  [ "$now" = "$2" ] || { stage "$1" "$2" "$3" && commit "$1" "$now"; }
}
cri_link() { point @ROOT@/current "$1" && point @LINK@ @ROOT@/current/cri-dockerd; }
program_switch() {
  cri_unit @SERVICE@ "$cri_service_sum" "$cri_service_text" &&
    cri_unit @SOCKET@ "$cri_socket_sum" "$cri_socket_text" && cri_link "$cri_build"
}
program_is_there() {
  [ "$(cri_current)" = "$cri_build" ] && [ -x "@ROOT@/$cri_build/cri-dockerd" ] &&
    [ "$(readlink @LINK@)" = @ROOT@/current/cri-dockerd ] &&
    [ "$(sum_of @SERVICE@)" = "$cri_service_sum" ] &&
    [ "$(sum_of @SOCKET@)" = "$cri_socket_sum" ] || return 1
  [ "$restarts" ] || return 0
  # the old one's program is still there, so that it may have been started once more
  pid=$(systemctl show -p MainPID "$unit"); pid=${pid#MainPID=}
  case $(readlink "/proc/$pid/exe") in
    "@ROOT@/$cri_build"/*) ;;
    @ROOT@/*) return 1;;
  esac
}
program_back() {
  for file in @SERVICE@ @SOCKET@; do
    kept=$change/${file##*/}
    if [ ! -e "$kept" ]; then rm -f "$file"; continue; fi
    sum=$(sum_of "$kept") && now=$(sum_of "$file") || return 1
    [ "$now" = "$sum" ] || { stage_copy "$kept" "$file" "$sum" && commit "$file" "$now"; } || return 1
  done
  was=$(cat "$change/build") || return 1
  if [ -n "$was" ]; then cri_link "$was"
  else rm -f @ROOT@/current @LINK@; fi
}
# the one before stays, others go
program_hold() {
  was=$(cat "$change/build") || return 1
  for left in @ROOT@/[0-9]*; do
    case ${left##*/} in "$cri_build" | "$was") ;; *) rm -rf -- "$left";; esac
  done
}
