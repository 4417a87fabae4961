# shellcheck shell=sh
# Change packages in a way that can be undone on the host, with apt and dpkg.
#
# $change: a directory for root alone. $installs: packages to install, as NAME=VERSION. $removes:
# names of packages that go for them; no other package may go. $related: names of more packages that
# may come with them. $expected: what is installed of all these now, as NAME=VERSION. $holds: names of
# packages to hold.
#
# pm_expected: whether that is still so
# pm_fetch: download, and say what comes besides; nothing of the host is changed
# pm_unpack: what was downloaded, unpacked in $change/root, so that it can be run
# pm_keep: keep what is installed now, so that it can come back without network
# pm_switch: install what was downloaded
# pm_is_there: whether that was done whole
# pm_back: what was kept comes back, wherever pm_switch was stopped
# pm_hold: keep upgrades from $holds

apt() {
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -y -q \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
    -o Dir::Cache::archives="$change/new/" -o DPkg::Lock::Timeout=@WAIT_SECONDS@ \
    --no-install-recommends --allow-downgrades --allow-change-held-packages "$@" 9>&-
}
dpkg_quietly() {
  DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold "$@" >>"$change/log" 2>&1 9>&-
}
pm_fetch() {
  mkdir -p "$change/new/partial" || return 1
  # who downloads for apt, where it has a user for that
  chown _apt "$change/new/partial" 2>/dev/null
  # shellcheck disable=SC2046,SC2086  # a list of packages
  would=$(apt -s install $installs $(gone) 2>&1) || { say "$would"; return 1; }
  brings=; updates=
  set -f; IFS=$nl
  for line in $would; do
    unset IFS
    case $line in
      'Inst '*)
        line=${line#Inst }
        name=${line%% *}
        case " $(mine)" in *" $name "*) continue;; esac
        case $line in
          "$name ["*) updates="$updates $name";;
          *) brings="$brings $name";;
        esac;;
      'Remv '*)
        line=${line#Remv }
        case " $removes " in
          *" ${line%% *} "*) ;;
          *) set +f; say "apt-get would remove ${line%% *} for that"; return 1;;
        esac;;
    esac
  done
  set +f; unset IFS
  [ -z "$updates" ] || say "apt-get updates for that too, and it stays whatever comes of it:$updates"
  printf '%s\n' "$brings" >"$change/brought" || return 1
  # shellcheck disable=SC2046,SC2086  # a list of packages
  patiently apt --download-only install $installs $(gone) >"$change/log" || return 1
  # what is in a directory of this host is not downloaded
  # shellcheck disable=SC2046,SC2086  # a list of packages
  apt --print-uris install $installs $(gone) 2>/dev/null | while read -r uri name _; do
    case $uri in
      "'file:/"*)
        uri=${uri#\'file:}; uri=${uri%\'}
        cp "/${uri##/}" "$change/new/$name" || exit 1;;
    esac
  done
}
pm_unpack() {
  mkdir "$change/root" || return 1
  for deb in "$change"/new/*.deb; do
    [ -e "$deb" ] || continue
    dpkg-deb -x "$deb" "$change/root" || return 1
  done
}
gone() { for name in $removes; do printf '%s- ' "$name"; done; }
# shellcheck disable=SC2016  # not for sh to expand
status_of() { dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null; }
# version_of NAME: of a package that is installed; nothing of another
# shellcheck disable=SC2016  # not for sh to expand
version_of() {
  case $(status_of "$1") in ?i*) dpkg-query -W -f '${Version}' "$1";; esac
}
pm_is_there() {
  until_others_end || return 1
  for package in $installs; do
    [ "$(version_of "${package%%=*}")" = "${package#*=}" ] || return 1
  done
  for name in $removes; do
    [ -z "$(version_of "$name")" ] || return 1
  done
}
pm_hold() {
  # shellcheck disable=SC2086  # a list of packages
  [ -z "$holds" ] || patiently hold $holds >/dev/null
}
hold() { apt-mark hold "$@" 9>&-; }
pm_keep() {
  mkdir -m 0700 "$change/old" || return 1
  : >"$change/held"
  : >"$change/old/conffiles"
  for name in $(mine); do
    [ "$(version_of "$name")" ] || continue
    case $(status_of "$name") in h*) printf '%s\n' "$name" >>"$change/held";; esac
    repack "$name" || { say "cannot keep the package $name as it is"; return 1; }
    dpkg-query -s "$name" >"$change/old/$name.status" || return 1
  done
  new_conffiles >"$change/coming"
  while read -r path; do keep_beside "$path" || return 1; done <"$change/coming"
  sync
}
# keep_beside CONFFILE: what a package has put beside it
keep_beside() {
  printf '%s\n' "$1" >>"$change/old/conffiles"
  [ ! -e "$1.dpkg-dist" ] || {
    mkdir -p "$change/dist${1%/*}" && cp -dp "$1.dpkg-dist" "$change/dist$1.dpkg-dist"
  }
}
new_conffiles() {
  for deb in "$change"/new/*.deb; do
    [ ! -e "$deb" ] || dpkg-deb -I "$deb" conffiles 2>/dev/null
  done
}
# repack NAME: a package of what is installed; the source may not have it any more
repack() {
  tree=$change/tree
  rm -rf "$tree" && mkdir -p "$tree/DEBIAN" && chmod 0755 "$tree" "$tree/DEBIAN" || return 1
  dpkg-query -s "$1" | sed -e '/^Status: /d' -e '/^Config-Version: /d' \
    -e '/^Conffiles:/,/^[^ ]/{/^Conffiles:/d;/^ /d;}' >"$tree/DEBIAN/control" || return 1
  listed=$(dpkg-query -L "$1"; dpkg-query --control-path "$1") || return 1
  set -f; IFS=$nl
  # shellcheck disable=SC2086  # a path a line
  set -- "$1" $listed
  set +f; unset IFS
  name=$1; shift
  for path; do
    case $path in
      /var/lib/dpkg/info/*.list | /.) ;;
      /var/lib/dpkg/info/*) cp -p "$path" "$tree/DEBIAN/${path##*.}" || return 1;;
      /*)
        file=$(dpkg-divert --truename "$path") || return 1
        # /lib is a link on a host with a merged /usr, and a directory in the package
        case $nl$listed in *"$nl$path/"*) mkdir -p "$tree$path" || return 1; continue;; esac
        if [ -L "$file" ] || [ -f "$file" ]; then
          mkdir -p "$tree${path%/*}" && cp -dp "$file" "$tree$path" || return 1
        elif [ -d "$file" ]; then mkdir -p "$tree$path" || return 1
        fi;;
    esac
  done
  # dpkg-query --control-path leaves conffiles out. In the package one that somebody has changed gets
  # one more line. Else dpkg would take what is in it for the package's own, and the next upgrade
  # would replace it without a question. One that somebody has removed cannot be packed.
  # shellcheck disable=SC2016  # not for sh to expand
  dpkg-query -W -f '${Conffiles}\n' "$name" >"$change/recorded" || return 1
  while read -r path recorded flag; do
    if [ -z "$path" ] || [ "$flag" ]; then continue; fi
    keep_beside "$path" || return 1
    [ -e "$tree$path" ] || continue
    now=$(md5sum <"$tree$path") || return 1
    [ "${now%% *}" = "$recorded" ] || echo '# kept by kubenode' >>"$tree$path"
    printf '%s\n' "$path" >>"$tree/DEBIAN/conffiles"
  done <"$change/recorded"
  (
    cd "$tree" || exit 1
    find . -path ./DEBIAN -prune -o -path ./etc -prune -o -type f -exec sha256sum {} +
  ) >"$change/old/$name.sums" || return 1
  dpkg-deb -Znone -b "$tree" "$change/old/$name.deb" >/dev/null && rm -rf "$tree"
}
# files_of NAME: what is of an installed package; own_files NAME: what of /etc goes with it, and is
# overwritten by the next one: no conffiles; edited_files NAME: what is not as the package has it;
# new_files: the same as own_files, of what was downloaded
files_of() { dpkg-query -L "$1"; }
# shellcheck disable=SC2016  # not for sh to expand
own_files() {
  [ -n "$(version_of "$1")" ] || return 0
  dpkg-query -W -f '${Conffiles}\n' "$1" | sed -n 's,^ *\(/[^ ]*\) .*,\1,p' >"$change/conffiles"
  files_of "$1" | grep '^/etc/' | grep -Fxv -f "$change/conffiles"
}
edited_files() { dpkg --verify "$1" | sed -n 's,^[^m][^/]*\(/.*\),\1,p'; }
new_files() {
  new_conffiles >"$change/conffiles"
  (cd "$change/root" && find etc ! -type d 2>/dev/null) | sed 's,^,/,' |
    grep -Fxv -f "$change/conffiles"
}
pm_switch() {
  # what reads our output may be gone, and dpkg stops half-way then
  # shellcheck disable=SC2046,SC2086  # a list of packages
  patiently apt install $installs $(gone) >>"$change/log" 2>&1 || {
    tail -n 5 "$change/log" >&2
    return 1
  }
}
# is_untouched NAME: whether the package is to dpkg and on disk what pm_keep has kept
is_untouched() {
  [ "$(dpkg-query -s "$1" 2>/dev/null)" = "$(cat "$change/old/$1.status")" ] &&
    (cd / && sha256sum -c "$change/old/$1.sums") >/dev/null 2>&1
}
pm_back() {
  until_others_end || return 1
  dpkg_quietly --configure -a
  # what came with it was not there before; dpkg may have been stopped while it unpacked one
  for name in $(mine) $(cat "$change/brought" 2>/dev/null); do
    [ -e "$change/old/$name.deb" ] || [ -z "$(status_of "$name")" ] ||
      dpkg_quietly --force-depends --force-remove-reinstreq --remove "$name"
  done
  for deb in "$change"/old/*.deb; do
    [ -e "$deb" ] || continue
    name=${deb##*/}
    # a disk that is full, or a file that cannot be replaced, is no reason to fail twice
    is_untouched "${name%.deb}" || set -- "$@" "$deb"
  done
  [ "$#" = 0 ] || dpkg_quietly --force-downgrade --force-depends --install "$@" ||
    dpkg_quietly --force-all --install "$@"
  for deb; do
    name=${deb##*/}; name=${name%.deb}
    [ "$(version_of "$name")" = "$(dpkg-deb -f "$deb" Version)" ] || {
      say "dpkg -i $deb:"
      tail -n 3 "$change/log" >&2
      return 1
    }
  done
  # dpkg was stopped while it unpacked: what it had begun with is no package's
  (cd "$change/root" && find . ! -type d) 2>/dev/null | while read -r path; do
    path=$(dpkg-divert --truename "${path#.}") && rm -f "$path.dpkg-new"
  done
  # what the new package, and the one that was kept, have put beside a file that was changed
  while read -r path; do
    if [ -e "$change/dist$path.dpkg-dist" ]; then
      cp -dp "$change/dist$path.dpkg-dist" "$path.dpkg-dist"
    else rm -f "$path.dpkg-dist"; fi
  done <"$change/old/conffiles"
  while read -r name; do patiently hold "$name" >/dev/null; done <"$change/held"
}
