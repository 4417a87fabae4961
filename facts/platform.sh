# shellcheck shell=sh
# The platform probe: whose host it is, and who we are there.

read -r kernel </proc/sys/kernel/ostype || kernel=$(uname -s)
value kernel "$kernel"
uid=
while read -r name _ effective _; do
  if [ "$name" = Uid: ]; then uid=$effective; break; fi
done </proc/self/status
uid=${uid:-$(id -u)}; value uid "$uid"
if [ "$uid" != 0 ]; then captured limited 10 sudo -n id -u; value sudo "$output"; fi
[ -e /run/ostree-booted ] && value ostree yes
[ -e /etc/os-release ] || exact /usr/lib/os-release
for manager in @PACKAGE_MANAGERS@; do
  if command -v "$manager" >/dev/null; then value package_manager "$manager"; break; fi
done
