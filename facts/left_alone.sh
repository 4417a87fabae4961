# shellcheck shell=sh
# The left-alone probe: which services packages have, and whether needrestart is there.

lists=
for name in @PACKAGES@; do
  for list in "/var/lib/dpkg/info/$name.list" "/var/lib/dpkg/info/$name":*.list; do
    [ ! -f "$list" ] || lists="$lists $list"
  done
done
# shellcheck disable=SC2086  # split on purpose
[ -z "$lists" ] || matching '/systemd/system/[^/@]*[.]service$' $lists
if command -v apt-get >/dev/null; then value apt yes; else value apt no; fi
if command -v needrestart >/dev/null; then value needrestart yes; else value needrestart no; fi
