# shellcheck shell=sh
# Which versions of packages the host's lists have; what is asked writes no cache of its own.

packages=@NAMES@; staged=@STAGED@
policy() {
  # shellcheck disable=SC2086  # split on purpose
  limited 30 apt-cache -q -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= policy $packages 2>&1
}
# is_staged: whether what is staged is there, and is root's alone
is_staged() { [ -d "$staged" ] && trusted "$staged"; }
# By the lists of those repositories that have some here. Version locks are none of a question, and
# what dnf.conf excludes may be installed on purpose. dnf has no way to be asked without a line in its
# logs.
dnf_says() {
  set --
  # a plugin of dnf 4 writes a list of all packages for completion by the shell
  [ "$(command -v dnf)" -ef "$(command -v dnf5)" ] ||
    set -- --showduplicates --disableplugin=generate_completion_cache
  if [ -n "$staged" ]; then
    is_staged || { echo "there are no lists in $staged"; return 1; }
    set -- "$@" --setopt=reposdir="$staged" --setopt=cachedir="$staged/cache" \
      --setopt=persistdir="$staged/state" --setopt=logdir="$staged/log"
  fi
  # shellcheck disable=SC2086  # split on purpose
  limited 60 dnf -C -q repoquery --available --setopt=disable_excludes=main \
    --setopt='*.repo_gpgcheck=0' --setopt='*.skip_if_unavailable=1' "$@" \
    --qf '%{name} %{epoch}:%{version}-%{release} %{arch} %{repoid}\n' $packages 2>&1
}
zypper_says() {
  set --
  if [ -n "$staged" ]; then
    is_staged || { echo "there are no lists in $staged"; return 1; }
    set -- --root "$staged"
  fi
  # shellcheck disable=SC2086  # split on purpose
  ZYPP_READONLY_HACK=1 ZYPP_LOGFILE=/dev/null limited 60 zypper --non-interactive --xmlout \
    --no-refresh --disable-system-resolvables "$@" search -s --match-exact -t package $packages 2>&1
  status=$?
  # there is none of that name
  case $status in 104) return 0;; *) return "$status";; esac
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
elif command -v dnf >/dev/null; then
  # its lists are root's; what others ask is of lists of their own
  if [ "$(id -u)" = 0 ]; then
    value candidates_of dnf; value machine "$(uname -m)"
    captured_part dnf_says
    value candidates_status "$status"; said candidates "$output"
    for list in /var/cache/dnf/*/repodata/repomd.xml /var/cache/libdnf5/*/repodata/repomd.xml; do
      if [ -f "$list" ]; then value lists_fetched yes; break; fi
    done
  else value candidates_of user; fi
elif command -v zypper >/dev/null; then
  value candidates_of zypper; value machine "$(uname -m)"
  captured_part zypper_says
  value candidates_status "$status"; said candidates "$output"
  for list in "$staged"/var/cache/zypp/raw/*/repodata/repomd.xml; do
    if [ -f "$list" ]; then value lists_fetched yes; break; fi
  done
else value candidates_of none; fi
