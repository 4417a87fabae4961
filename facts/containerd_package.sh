# shellcheck shell=sh
# The package probe: which containerd is installed, and who installs at the moment.

value binary "$program"
# a program that hangs must not hang the run
if [ -z "$program_distrust" ]; then
  captured_part limited 10 containerd --version; value version "$output"
else unreadable version; fi
packages='containerd containerd.io'
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
  captured limited 20 rpm -q --qf '%{NAME} %{VERSION}-%{RELEASE}\n' $packages
  # how many of them are not installed
  case $status in [0-2]) said rpm "$output";; *) unreadable package;; esac
  exact /etc/dnf/plugins/versionlock.list
  exact /etc/yum/pluginconf.d/versionlock.list
  exact /etc/dnf/versionlock.toml
  exact /etc/zypp/locks
elif [ -d /var/lib/rpm ] || [ -d /usr/lib/sysimage/rpm ]; then need rpm
fi
