# shellcheck shell=sh
# The repositories probe: which files say where packages come from, and which lists there are.

[ -e /etc/os-release ] || exact /usr/lib/os-release
for manager in apt-get dnf zypper; do
  if command -v "$manager" >/dev/null; then value package_manager "$manager"; break; fi
  manager=
done
value known "${manager:-none}"
if [ "$manager" = apt-get ]; then
  need dpkg && { captured limited 10 dpkg --print-architecture; value architecture "$output"; }
fi
sources() {
  if [ -d "$1" ] && { [ ! -r "$1" ] || [ ! -x "$1" ]; }; then unreadable "$1"; return 0; fi
  for path in "$1"/*."$2"; do
    case $path in @OWN@) continue;; esac
    if [ -e "$path" ] || [ -L "$path" ]; then exact "$path"; fi
  done
}
case $manager in
  apt-get) sources /etc/apt/sources.list.d list; sources /etc/apt/sources.list.d sources;;
  dnf) sources /etc/yum.repos.d repo;;
  zypper) sources /etc/zypp/repos.d repo;;
esac
lists=
fetched() { for path; do if [ -f "$path" ] && is_key "$path"; then lists=$lists$path$nl; fi; done; }
case $manager in
  apt-get) fetched /var/lib/apt/lists/*Release;;
  dnf) fetched /var/cache/dnf/*/repodata/repomd.xml /var/cache/libdnf5/*/repodata/repomd.xml;;
  zypper) fetched /var/cache/zypp/raw/*/repodata/repomd.xml;;
esac
said lists "$lists"
