# shellcheck shell=sh
# Unpack a release of cri-dockerd beside the others, and switch to it: see change() of
# cri_archive.py.

@FUNCTIONS@
archive_store=@STORE@; build=@BUILD@; version=@VERSION@; unpacked=
needs chmod chown cp cut df grep gzip head id ln mkdir mv readlink rm tail tar
undone() { [ -z "$unpacked" ] || rm -rf -- "$unpacked"; fail "$@"; }
for file in /etc/systemd/system/cri-docker.service /run/systemd/system/cri-docker.service \
  /usr/lib/systemd/system/cri-docker.service /lib/systemd/system/cri-docker.service; do
  [ ! -f "$file" ] || fail "$file is there, of a package or of somebody: remove it first, or do" \
    'not ask for an archive; nothing was changed'
done
if [ -e @LINK@ ] && [ "$(readlink @LINK@)" != @ROOT@/current/cri-dockerd ]; then
  fail '@LINK@ is none of kubenode'"'"'s: remove it first; nothing was changed'
fi
old=; [ ! -L @ROOT@/current ] || old=$(readlink @ROOT@/current)
make_directory @ROOT@ || fail 'cannot make @ROOT@: nothing was changed'
for left in @ROOT@/.*.kubenode.[0-9]*; do if [ -d "$left" ]; then rm -rf -- "$left"; fi; done

# the program, whole or not at all
if [ ! -x "@ROOT@/$build/cri-dockerd" ]; then
  has_stored @SUM@ ||
    fail "$archive_store/@SUM@ is not there, or not whole: nothing was changed, run again"
  listed=$(limited 300 tar -tzf "$archive_store/@SUM@" 2>/dev/null | head -c 4096)
  case $nl$listed$nl in
    *"$nl"cri-dockerd/cri-dockerd"$nl"*) ;;
    *) fail 'this is no archive of cri-dockerd: it should have cri-dockerd/cri-dockerd in it.' \
      "Upstream's cri-dockerd-VERSION.ARCH.tgz is right; nothing was changed";;
  esac
  unpacked=@ROOT@/.$build.kubenode.$$
  mkdir -m 0755 "$unpacked" || fail "cannot write in @ROOT@: nothing was changed; $(room @ROOT@)"
  # tar writes to standard output only: no link, owner or mode of the archive's comes to the host
  why=$( {
    # shellcheck disable=SC3045  # where it is missing there is no limit
    ulimit -f @MOST_BLOCKS@ 2>/dev/null
    limited 300 tar -xzOf "$archive_store/@SUM@" cri-dockerd/cri-dockerd >"$unpacked/cri-dockerd"
  } 2>&1) && [ -s "$unpacked/cri-dockerd" ] ||
    undone "cannot unpack cri-dockerd ($why): nothing was changed; $(room @ROOT@)"
  # shellcheck disable=SC2015  # the last is for either failure
  chown "$(id -u):$(id -g)" "$unpacked/cri-dockerd" && chmod 0755 "$unpacked/cri-dockerd" &&
    sync_file "$unpacked/cri-dockerd" && sync_directory "$unpacked" || undone 'cannot write in @ROOT@: nothing was changed'
  says=$(limited 20 "$unpacked/cri-dockerd" --version 2>&1 </dev/null | head -n 1 | cut -c1-200)
  case $says in
    "cri-dockerd $version" | "cri-dockerd $version "*) ;;
    'cri-dockerd '*) undone "the archive says it is cri-dockerd $version, and its program says" \
      "\"$says\": state its own version; nothing was changed";;
    *) undone "this cri-dockerd does not run here ($says): state the archive for this" \
      'architecture; nothing was changed';;
  esac
  rm -rf -- "@ROOT@/${build:?}"
  # shellcheck disable=SC2015  # the last is for either failure
  mv -T "$unpacked" "@ROOT@/$build" && sync_directory @ROOT@ ||
    undone 'cannot write in @ROOT@: nothing was changed'
  unpacked=
fi
rm -f "$archive_store/@SUM@"

# unit_of NAME SUM TEXT
unit_of() {
  now=$(sum_of "@UNITS_IN@/$1")
  [ "$now" != "$2" ] || return 0
  if [ "$now" != - ] && [ "$(head -n 1 "@UNITS_IN@/$1")" != @HEAD@ ]; then
    fail "@UNITS_IN@/$1 is somebody else's: remove it first; cri-dockerd was not switched"
  fi
  # shellcheck disable=SC2015  # the last is for either failure
  stage "@UNITS_IN@/$1" "$2" "$3" && commit "@UNITS_IN@/$1" "$now" ||
    fail "cannot write @UNITS_IN@/$1: cri-dockerd was not switched"
}
make_directory @UNITS_IN@ || fail 'cannot make @UNITS_IN@: cri-dockerd was not switched'
@UNITS@
# shellcheck disable=SC2015  # the last is for either failure
point @ROOT@/current "$build" && point @LINK@ @ROOT@/current/cri-dockerd ||
  fail 'cannot switch to it: run again'
systemctl daemon-reload
if systemctl -q is-active cri-docker.service && [ "$old" != "$build" ]; then
  systemctl reset-failed cri-docker.service 2>/dev/null
  # shellcheck disable=SC2015  # the last is for either failure
  systemctl restart cri-docker.service && wait_for_cri @CRI_WAIT_SECONDS@ || {
    words=$(last_words)
    [ -n "$old" ] || fail "cri-dockerd $version does not serve: $words"
    point @ROOT@/current "$old"
    systemctl reset-failed cri-docker.service 2>/dev/null
    # shellcheck disable=SC2015  # the last is for either failure
    systemctl restart cri-docker.service && wait_for_cri @CRI_WAIT_SECONDS@ ||
      fail "cri-dockerd $version does not serve, and neither does $old now: $words"
    fail "cri-dockerd $version does not serve, and $old serves again: $words"
  }
fi
# the one before stays, others go
for left in @ROOT@/[0-9]*; do
  case ${left##*/} in "$build" | "$old") ;; *) rm -rf -- "$left";; esac
done
