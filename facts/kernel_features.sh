# shellcheck shell=sh
# What the running kernel shows of its features, where no file has its options.

if [ -z "$config" ]; then
  said namespaces "$(for name in /proc/self/ns/*; do printf '%s\n' "${name##*/}"; done)"
  exact /proc/cgroups
  exact /proc/filesystems
  if [ -e /proc/net/tcp ]; then value tcp yes; fi
fi
