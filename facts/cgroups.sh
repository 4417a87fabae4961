# shellcheck shell=sh
# The cgroups probe: which init runs, and whether the host is a container.

if [ -d /run/systemd/system ]; then
  value systemd_running yes
  need systemctl
elif need sed; then
  said environ "$(tr '\0' '\n' </proc/1/environ | sed -n 's/^container=//p')"
fi
captured limited 10 systemctl --version; value systemd "${output%%"$nl"*}"
[ -e /.dockerenv ] && value marker docker
[ -e /run/.containerenv ] && value marker podman
true
