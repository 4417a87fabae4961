# shellcheck shell=sh
# See to it that dnf has version locks: dnf5 does, dnf 4 by a plugin that many hosts lack.

able() { dnf versionlock --help >/dev/null 2>&1; }
if ! able; then
  dnf install -y 'dnf-command(versionlock)'
  if ! able; then
    fail 'dnf has no version locks, so it cannot hold a package. Install the package that has' \
      'dnf-command(versionlock), enable its plugin (/etc/dnf/plugins/versionlock.conf), or do not' \
      'ask for a hold. Nothing else was changed.'
  fi
fi
