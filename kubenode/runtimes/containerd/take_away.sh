# shellcheck shell=sh
# Take away what is left of containerd once its program is gone. $own are files, $data names in the
# data root, $sockets paths, a line each.

root=@ROOT@; takes_data=@TAKES_DATA@
# is_mounted PATH: whether something is mounted below it
is_mounted() {
  while read -r _ point _; do
    case $point in "$1"/*) mounted=$point; return 0;; esac
  done </proc/self/mounts
  return 1
}
set -f; IFS=$nl
for path in $own; do
  set +f; unset IFS
  rm -f -- "$path" || fail "cannot remove $path: run again"
  # a directory that it was alone in
  rmdir "${path%/*}" 2>/dev/null || :
  set -f; IFS=$nl
done
set +f; unset IFS
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
if ! systemctl -q is-active @UNIT@ 2>/dev/null; then rm -f @SOCKETS@; fi
if [ "$takes_data" ]; then
  # containers' shared memory and file systems, which nobody unmounts any more
  while is_mounted @STATE@; do
    umount "$mounted" 2>/dev/null || umount -l "$mounted" || fail "cannot unmount $mounted: run again"
  done
  rm -rf -- @STATE@
  if is_mounted "$root"; then fail "$mounted is mounted in containerd's data: unmount it"; fi
  set -f; IFS=$nl
  for name in $data; do
    rm -rf -- "${root:?}/$name" || fail "cannot remove $root/$name: run again"
  done
  set +f; unset IFS
  # empty ones: what somebody has put there stays
  rmdir "$root/opt/bin" "$root/opt/lib" "$root/opt" "$root" 2>/dev/null || :
fi
