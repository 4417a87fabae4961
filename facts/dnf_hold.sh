# shellcheck shell=sh
# By which means dnf can hold a package: what it has is looked at, as dnf writes into its logs when it
# is run.

dnf=$(command -v dnf); dnf5=$(command -v dnf5); versionlock=no
if [ -n "$dnf5" ] && [ "$dnf" -ef "$dnf5" ]; then
  # a command of its own
  if grep -q versionlock "$dnf5"; then versionlock=yes; fi
else
  for path in /usr/lib/python3*/*-packages/dnf-plugins/versionlock.py; do
    if [ -f "$path" ]; then versionlock=plugin; fi
  done
fi
value versionlock "$versionlock"
