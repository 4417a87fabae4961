# shellcheck shell=sh
# The kernel modules probe.

value kernel "$release"
if [ -e /proc/version ]; then value proc yes; fi
for name in @NAMES@; do
  if [ -e "/sys/module/$name/initstate" ]; then value "sys:$name" loaded
  elif [ -d "/sys/module/$name" ]; then value "sys:$name" builtin; fi
done
if [ -d /proc/sys/net/bridge ]; then value bridge yes; fi
set -- @MODULES@ @FILE_SYSTEMS@
for tree in /lib/modules /usr/lib/modules; do
  [ -d "$tree" ] || continue
  value trees "$tree"
  if [ ! -r "$tree" ] || [ ! -x "$tree" ]; then unreadable kernels; break; fi
  kernels=
  for dep in "$tree"/*/modules.dep; do
    if [ -e "$dep" ]; then dep=${dep%/modules.dep}; kernels=$kernels${dep##*/}$nl; fi
  done
  said kernels "$kernels"
  if [ -d "$tree/$release" ]; then value running "$tree/$release"; fi
  set -- "$@" "$tree/$release/modules.builtin" "$tree/$release/modules.dep"
  break
done
for file; do
  shift
  if [ -e "$file" ]; then set -- "$@" "$file"; fi
done
[ $# = 0 ] || matching @ASKED_FOR@ "$@"
