# shellcheck shell=sh
# What dpkg or rpm says of packages, and who installs at the moment.

packages=@NAMES@
if command -v dpkg-query >/dev/null; then
  # shellcheck disable=SC2016,SC2086  # not for sh to expand; split on purpose
  captured dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\n' $packages
  # 1: it does not know one of them
  case $status in 0 | 1) said dpkg "$output";; *) unreadable package;; esac
  holder
  if [ -n "$holder" ]; then value dpkg_at_work "$holder"; fi
  for update in /var/lib/dpkg/updates/[0-9]*; do
    if [ -e "$update" ]; then value dpkg_interrupted yes; break; fi
  done
elif [ -e /var/lib/dpkg/status ]; then need dpkg-query
elif command -v rpm >/dev/null; then
  # shellcheck disable=SC2086  # split on purpose
  captured limited 20 rpm -q --qf '@QUERY@' $packages
  case $status in @KNOWN@) said rpm "$output";; *) unreadable package;; esac
  holder
  if [ -n "$holder" ]; then value dpkg_at_work "$holder"; fi
  # dnf may be a name of dnf5
  dnf=$(command -v dnf); dnf5=$(command -v dnf5)
  if [ -n "$dnf" ]; then
    if [ -n "$dnf5" ] && [ "$dnf" -ef "$dnf5" ]; then value rpm_manager dnf5
    else value rpm_manager dnf4; fi
  elif command -v zypper >/dev/null; then value rpm_manager zypper; fi
  for path in @LOCKS@; do exact "$path"; done
elif [ -d /var/lib/rpm ] || [ -d /usr/lib/sysimage/rpm ]; then need rpm
fi
