# shellcheck shell=sh
# Unpack CNI plugins into a directory, each whole: see change() of plugins_change.py.

@FUNCTIONS@
archive_store=@STORE@
directory=@DIRECTORY@
needs cp cut df grep gzip head id rm sed tail tar
has_stored @SUM@ ||
  fail "$archive_store/@SUM@ is not there, or not whole: nothing was changed, run again"
# members FILE: the names of the plugins in it, $member is what no release has
members() {
  plugins=
  listed=$(limited 300 tar -tzf "$1" 2>/dev/null | head -c 8192)
  set -f; IFS=$nl
  for member in $listed; do
    case ${member#./} in
      '' | LICENSE | README.md) ;;
      [!A-Za-z0-9]* | *[!A-Za-z0-9_-]*) break;;
      *)
        [ "${#member}" -le 64 ] || break
        plugins="$plugins${member#./}$nl";;
    esac
    member=
  done
  set +f; unset IFS
  [ -z "$member" ] && [ -n "$plugins" ]
}
members "$archive_store/@SUM@" ||
  fail "this is no archive of CNI plugins: it should have them at its top, and has" \
    "${member:-nothing to be read}. Upstream's cni-plugins-linux-ARCH-vVERSION.tgz is right;" \
    'nothing was changed'
# take PLUGIN: into $temp. tar writes to standard output only: no link, owner or mode of the
# archive's comes to the host.
take() {
  for name in "./$1" "$1"; do
    said=$( {
      # shellcheck disable=SC3045  # where it is missing there is no limit
      ulimit -f @MOST_BLOCKS@ 2>/dev/null
      limited 300 tar -xzOf "$archive_store/@SUM@" "$name" >"$temp"
    } 2>&1) && [ -s "$temp" ] && return
  done
  return 1
}
tried=
for plugin in $plugins; do
  if [ -d "$directory/$plugin" ] || [ -L "$directory/$plugin" ]; then
    fail "$directory/$plugin is no file: remove it; nothing was changed"
  fi
  staging "$directory/$plugin" ||
    fail "cannot write in $directory: nothing was changed; $(room "$directory")"
  take "$plugin" ||
    fail "cannot unpack $plugin (${said:-it is empty}): nothing was changed; $(room "$directory")"
  # shellcheck disable=SC2015  # the last is for either failure
  chown "$(id -u):$(id -g)" "$temp" && chmod 0755 "$temp" ||
    fail "cannot write in $directory: nothing was changed"
  if [ -z "$tried" ]; then
    # CNI's specification, "VERSION: probe plugin version support"
    tried=$(printf '{"cniVersion":"0.4.0"}' | CNI_COMMAND=VERSION limited 20 "$temp" 2>&1 |
      head -c 1000)
    case $tried in
      *supportedVersions*) ;;
      *) fail "$plugin does not run on this host" \
        "($(printf '%s\n' "$tried" | head -n 1 | cut -c1-200)):" \
        'state the archive for its architecture; nothing was changed';;
    esac
  fi
done
sums=
for plugin in $plugins; do
  temp_of "$directory/$plugin"
  sums=$sums$(sum_of "$temp")"  $plugin$nl"
done
for plugin in $plugins; do
  place "$directory/$plugin" || fail "cannot replace $directory/$plugin: run again"
done
# the note comes last: what it says is there
# shellcheck disable=SC2015  # the last is for either failure
staging @NOTE@ && printf '%s\n%s%s\n' @HEAD@ "$sums" @NOTE_ENDS@ >"$temp" && chmod 0644 "$temp" &&
  place @NOTE@ || fail "the plugins are in $directory, and this cannot be noted: run again"
rm -f "$archive_store/@SUM@"
