# shellcheck shell=sh
# Which versions of packages the host's lists have; what is asked writes no cache of its own.

packages=@NAMES@; staged=@STAGED@
policy() {
  # shellcheck disable=SC2086  # split on purpose
  limited 30 apt-cache -q -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= policy $packages 2>&1
}
if command -v apt-cache >/dev/null; then
  value candidates_of apt-get
  if [ -n "$staged" ]; then
    lists=$staged/lists; APT_CONFIG=$staged/first.conf; export APT_CONFIG
  else lists=/var/lib/apt/lists; fi
  if [ -n "$staged" ] && { [ ! -f "$APT_CONFIG" ] || ! trusted "$APT_CONFIG"; }; then
    value candidates_status 1; said candidates "E: there are no lists in $lists"
  else
    captured_part policy
    value candidates_status "$status"; said candidates "$output"
  fi
  for list in "$lists"/*Release; do
    if [ -f "$list" ]; then value lists_fetched yes; break; fi
  done
else value candidates_of none; fi
