# shellcheck shell=sh
# The probe of what would be left of containerd: what kubenode wrote, what runs, what is kept.

# is_own FILE: whether kubenode wrote it. Its first line says so.
is_own() {
  if [ -L "$1" ] || [ ! -f "$1" ] || [ ! -r "$1" ]; then return 1; fi
  first=
  IFS= read -r first <"$1"
  case $first in '@OWN_BEGINS@'*) ;; *) return 1;; esac
}
own=
add() { if is_key "$1"; then own=$own$1$nl; fi; }
for path in @FILES@; do
  for file in "$path" "$path@BACKUP_SUFFIX@" "$path@BACKUP_SUFFIX@".[1-9]*; do
    if is_own "$file"; then add "$file"; fi
  done
done
for place in @DIRECTORIES@; do
  [ -d "$place" ] || continue
  if ! trusted "$place"; then distrusted own; continue; fi
  if [ ! -r "$place" ] || [ ! -x "$place" ]; then unreadable own; continue; fi
  for file in "$place"/*/hosts.toml "$place"/*/hosts.toml@BACKUP_SUFFIX@*; do
    if is_own "$file"; then add "$file"; fi
  done
  for file in "$place"/*/kubenode-[0-9]*.pem "$place"/*/kubenode-[0-9]*.pem@BACKUP_SUFFIX@*; do
    if [ -f "$file" ] && [ ! -L "$file" ]; then add "$file"; fi
  done
done
said own "$own"

# what runs: a container's first process, in any namespace of containerd's
tasks=; bundles=@STATE@/io.containerd.runtime.v2.task
if [ -d "$bundles" ] && { [ ! -r "$bundles" ] || [ ! -x "$bundles" ]; }; then unreadable tasks
else
  for bundle in "$bundles"/*/*; do
    pid=
    [ -f "$bundle/init.pid" ] && read -r pid <"$bundle/init.pid"
    case $pid in '' | *[!0-9]*) continue;; esac
    [ -d "/proc/$pid" ] || continue
    bundle=${bundle#"$bundles"/}
    if is_key "$bundle"; then tasks="$tasks${bundle%%/*} ${bundle#*/}$nl"; fi
  done
  said tasks "$tasks"
fi

root=@ROOT@
mounts=
while read -r _ point _; do
  case $point in "$root"/*) mounts=$mounts$point$nl;; esac
done </proc/self/mounts
said mounted_below "$mounts"
data=
if [ -d "$root" ] && { [ ! -r "$root" ] || [ ! -x "$root" ]; }; then unreadable data
else
  for path in "$root"/io.containerd.* "$root"/tmpmounts; do
    if [ -e "$path" ] && is_key "$path"; then data=$data${path##*/}$nl; fi
  done
  said data "$data"
fi
sockets=
for path in @STATE@/containerd.sock @STATE@/containerd.sock.ttrpc; do
  [ ! -S "$path" ] || sockets=$sockets$path$nl
done
said sockets "$sockets"
kept=
for path in /etc/containerd/* /etc/containerd/certs.d/*/*; do
  [ ! -f "$path" ] || case $nl$own in *"$nl$path$nl"*) ;; *) ! is_key "$path" || kept=$kept$path$nl;; esac
done
said kept "$kept"

# who needs the packages: dpkg says so, and does nothing. apt says the same in a hundred times the time.
simulated() { limited 20 dpkg --no-act --remove "$@" 2>&1; }
set -- @PACKAGES@
if [ $# -gt 0 ] && command -v dpkg >/dev/null; then
  captured_part simulated "$@"
  case $status in 0 | 1) said needed_by "$output";; *) unreadable needed_by;; esac
  states=/var/lib/apt/extended_states
  captured_part simulated "$@" runc
  if [ "$status" = 0 ] && [ -r "$states" ]; then
    captured_part grep -A 2 '^Package: runc$' "$states"
    case $output in *'Auto-Installed: 1'*) value runc_is_alone yes;; esac
  fi
fi
