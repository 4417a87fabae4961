# shellcheck shell=sh
# Which package manager a host has.

for manager in @PACKAGE_MANAGERS@; do
  if command -v "$manager" >/dev/null; then value package_manager "$manager"; break; fi
done
