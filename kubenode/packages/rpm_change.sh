# shellcheck shell=sh
# The same with dnf or zypper, and rpm: see apt_change.sh for the variables and what each function
# does.
#
# The package manager works out what else is needed, fetches it and checks its signatures. rpm itself
# installs that, and what was there comes back in the same way: without lists and network, whatever is
# locked or excluded. $manager: dnf or zypper. $store: a directory with the packages that kubenode has
# installed. An RPM cannot be made again of what is installed, so it has to be had from somewhere
# before anything is changed: from there, from a cache, or from a repository.

is_dnf5() { [ "$(command -v dnf)" -ef "$(command -v dnf5)" ]; }
# dnf_fetch DIRECTORY COMMAND OPTION... PACKAGE...: in spite of holds
dnf_fetch() {
  directory=$1; command=$2; shift 2
  if is_dnf5; then set -- '--setopt=disable_excludes=*' "$@"
  else set -- --setopt=disable_excludes=main --disableplugin=versionlock "$@"; fi
  dnf -y "$command" --setopt=destdir="$directory" --setopt=obsoletes=False "$@" 9>&-
}
# zypper_fetch DIRECTORY OPTION... PACKAGE...: in spite of locks
zypper_fetch() {
  directory=$1; shift
  conf=/etc/zypp/zypp.conf
  [ -e "$conf" ] || conf=/usr$conf
  {
    [ ! -e "$conf" ] || sed '/^[[:space:]]*locksfile\.apply/d' "$conf"
    printf '\n[main]\nlocksfile.apply = no\n'
  } >"$change/zypp.conf" || return 1
  ZYPP_CONF=$change/zypp.conf ZYPP_LOCK_TIMEOUT=@WAIT_SECONDS@ zypper --non-interactive \
    --pkg-cache-dir "$directory" install --name --oldpackage --download-only "$@" 9>&-
  # done, and: reboot, restart programs, or a repository did not answer
  case $? in 0 | 102 | 103 | 106) ;; *) return 1;; esac
  for rpm in "$directory"/*/*.rpm "$directory"/*/*/*.rpm; do
    [ ! -e "$rpm" ] || mv -f "$rpm" "$directory" || return 1
  done
}
# words_of_log: what a package manager has said last
words_of_log() { grep -v '^$' "$change/log" | tail -n "${1:-5}" >&2; }
# version_of NAME: of a package that is installed, two lines where rpm was interrupted; nothing of
# another
version_of() {
  found=$(rpm -q --qf '%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\n' "$1" 2>/dev/null) &&
    printf '%s\n' "$found"
}
# build_of NAME, or -p FILE: which package it is, to the letter
build_of() { rpm -q --nosignature --qf '%{NEVRA} %{BUILDTIME} %{SHA256HEADER}\n' "$@" 2>/dev/null; }
pm_fetch() {
  mkdir -p "$change/new" || return 1
  # shellcheck disable=SC2086  # a list of packages
  [ -z "$installs" ] || patiently fetch_new $installs >"$change/log" || { words_of_log 8; return 1; }
  for package in $installs; do
    for rpm in "$change"/new/*.rpm; do
      there=$(rpm -qp --nosignature --qf '%{NAME}=%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}' "$rpm")
      [ "$there" != "$package" ] || continue 2
    done
    say "$manager has not fetched $package"
    return 1
  done
  would
}
fetch_new() {
  if [ "$manager" = dnf ]; then
    for package; do shift; set -- "$@" "${package%%=*}-${package#*=}"; done
    # nothing is changed, and signatures are checked, which --downloadonly of dnf5 does not
    dnf_fetch "$change/new" install --setopt=tsflags=test --setopt=install_weak_deps=False \
      --allowerasing "$@"
  else zypper_fetch "$change/new" --no-recommends --force-resolution "$@"; fi
}
# would: what rpm would do, on a copy of what it knows: nothing else may go or break
would() {
  database=$(rpm -E '%{_dbpath}')
  cp -R "$database" "$change/db" || return 1
  state_of_copy before || return 1
  # files that it shares with what goes are looked at below, when that is gone
  [ -z "$installs" ] || on_copy -U --justdb --nodeps --noscripts --notriggers --oldpackage \
    --replacepkgs --replacefiles "$change"/new/*.rpm >>"$change/log" 2>&1 ||
    { words_of_log; return 1; }
  for name in $removes; do
    ! on_copy -q "$name" >/dev/null || on_copy -e --justdb --nodeps --noscripts --notriggers "$name" ||
      return 1
  done
  state_of_copy after || return 1
  went=$(grep -Fxv -f "$change/after.names" "$change/before.names" | head -n 20)
  for name in $went; do
    case " $removes " in *" $name "*) ;; *) say "$name would go for that"; return 1;; esac
  done
  broken=$(grep -Fxv -f "$change/before.broken" "$change/after.broken" | head -n 5)
  [ -z "$broken" ] || { say "$broken"; return 1; }
  # files that belong to others, and room on the disk
  [ -z "$installs" ] || on_copy -U --test --replacepkgs --oldpackage "$change"/new/*.rpm \
    >"$change/log" 2>&1 || { words_of_log; return 1; }
  rm -rf "$change/db"
}
on_copy() { rpm --dbpath "$change/db" "$@" 9>&-; }
state_of_copy() {
  on_copy -qa --qf '%{NAME}\n' | sort -u >"$change/$1.names" || return 1
  # a line of grep's that matches nothing, as no line matches all
  { echo; on_copy -Va --nofiles --noscripts 2>&1 | grep . ; } >"$change/$1.broken"
  [ -s "$change/$1.names" ]
}
pm_unpack() {
  mkdir -p "$change/root" || return 1
  [ "$installs" ] || return 0
  rpm -i --root "$change/root" --nodeps --noscripts --notriggers --noplugins --excludedocs \
    --nosignature --ignoresize "$change"/new/*.rpm 9>&-
}
pm_keep() {
  mkdir -m 0700 "$change/old" || return 1
  for name in $(mine); do
    [ "$(version_of "$name")" ] || continue
    keep_package "$name" || return 1
    entry_of "$name" >"$change/old/$name.entry" || return 1
    verified "$name" >"$change/old/$name.verified"
  done
  {
    for name in $(mine); do rpm -qc "$name" 2>/dev/null; done
    [ -z "$installs" ] || rpm -qpc --nosignature "$change"/new/*.rpm
  } | grep '^/' | sort -u >"$change/old/configs"
  while read -r path; do
    for file in "$path" "$path.rpmnew" "$path.rpmsave" "$path.rpmorig"; do
      if [ -L "$file" ] || [ -f "$file" ]; then
        mkdir -p "$change/files${file%/*}" && cp -dp "$file" "$change/files$file" || return 1
      fi
    done
  done <"$change/old/configs"
  sync
}
entry_of() { rpm -q --qf '%{NEVRA} %{INSTALLTIME} %{INSTALLTID}\n' "$1"; }
# verified NAME: what of its files is not as it was installed
verified() { rpm -V --nodeps --noscripts --noconfig "$1" 2>&1; }
# keep_package NAME: the very package that is installed
keep_package() {
  kept=$(build_of "$1") || return 1
  file=$(rpm -q --qf '%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm' "$1")
  take_kept "$1" "$store" /var/cache/dnf/*/packages /var/cache/libdnf5/*/packages \
    /var/cache/zypp/packages/* /var/cache/zypp/packages/*/* && return
  mkdir -p "$change/again" || return 1
  if [ "$manager" = dnf ]; then
    patiently dnf_fetch "$change/again" reinstall --downloadonly "$1-$(version_of "$1")"
  else patiently zypper_fetch "$change/again" --force "$1=$(version_of "$1")"; fi >"$change/log" 2>&1
  take_kept "$1" "$change/again" && return
  say "$1 $(version_of "$1") cannot be had any more, neither from a cache nor from a repository, and" \
    "without it there is no way back: put $file into $store, or let a repository have it"
  return 1
}
# take_kept NAME DIRECTORY...
take_kept() {
  name=$1; shift
  for directory; do
    [ -f "$directory/$file" ] && [ "$(build_of -p "$directory/$file")" = "$kept" ] || continue
    rpm -K --nosignature "$directory/$file" >/dev/null || continue
    cp "$directory/$file" "$change/old/$name.rpm" && return
  done
  return 1
}
# put FILE...: what is there of these packages becomes that. Two that have a file in common may be
# there at once: what conflicts goes afterwards, so that there is no moment without a program
put() { rpm -U --oldpackage --replacepkgs --replacefiles --nodeps "$@" 9>&-; }
drop() { rpm -e --nodeps "$@" 9>&-; }
pm_switch() {
  patiently switch_packages >>"$change/log" 2>&1 || { words_of_log; return 1; }
  configs_as_before && : >"$change/switched"
}
switch_packages() {
  [ -z "$installs" ] || put "$change"/new/*.rpm || return 1
  for name in $removes; do
    [ -z "$(version_of "$name")" ] || drop "$name" || return 1
  done
  for package in $installs; do
    [ -z "$(verified "${package%%=*}")" ] || { put "$change"/new/*.rpm; return; }
  done
}
# configs_as_before: what the new program was shown is what it gets. A package's own is beside it.
configs_as_before() {
  while read -r path; do
    same "$path" || is_of_package "$path" || {
      if [ -L "$path" ] || [ -f "$path" ]; then mv -f "$path" "$path.rpmnew" || return 1; fi
      if [ -L "$change/files$path" ] || [ -f "$change/files$path" ]; then
        put_file "$path" || return 1
      fi
    }
    # what rpm has put aside is in place again
    for aside in "$path.rpmsave" "$path.rpmorig"; do
      [ ! -e "$aside" ] || same "$aside" || { put_back "$aside" || return 1; }
    done
  done <"$change/old/configs"
}
# put_file FILE: what was kept of it, whole or not at all
put_file() {
  temp_of "$1"
  staged=$staged$temp$nl
  make_directory "${1%/*}" && cp -dp "$change/files$1" "$temp" && mv -fT "$temp" "$1"
}
# is_of_package FILE: whether it comes with a package, and is nothing that the program was shown: it
# was asked about $main. Units need others, such as /etc/sysconfig/docker.
is_of_package() {
  [ ! -e "$change/files$1" ] && [ ! -L "$change/files$1" ] &&
    { [ -z "${restarts:-}" ] || [ "$1" != "${main:-}" ]; }
}
# same FILE: whether it is as it was kept
same() {
  if [ -L "$1" ] || [ -L "$change/files$1" ]; then
    [ "$(readlink "$1")" = "$(readlink "$change/files$1")" ]
  else [ "$(sum_of "$1")" = "$(sum_of "$change/files$1")" ]; fi
}
# put_back FILE: as it was kept, or gone
put_back() {
  if [ -L "$change/files$1" ] || [ -f "$change/files$1" ]; then put_file "$1"
  else rm -f "$1"; fi
}
pm_is_there() {
  until_others_end || return 1
  [ -e "$change/switched" ] || return 1
  for package in $installs; do
    [ "$(version_of "${package%%=*}")" = "${package#*=}" ] || return 1
  done
  for name in $removes; do
    [ -z "$(version_of "$name")" ] || return 1
  done
}
is_untouched() {
  [ "$(entry_of "$1" 2>/dev/null)" = "$(cat "$change/old/$1.entry")" ] &&
    [ "$(verified "$1")" = "$(cat "$change/old/$1.verified")" ]
}
pm_back() {
  until_others_end || return 1
  [ -e "$change/old/configs" ] || return 0
  rm -f "$change/switched"
  patiently packages_back >>"$change/log" 2>&1
  for rpm in "$change"/old/*.rpm; do
    [ -e "$rpm" ] || continue
    name=${rpm##*/}; name=${name%.rpm}
    [ "$(build_of "$name")" = "$(build_of -p "$rpm")" ] || {
      say "rpm -U $rpm:"
      words_of_log 3
      return 1
    }
  done
  while read -r path; do
    for file in "$path" "$path.rpmnew" "$path.rpmsave" "$path.rpmorig"; do
      same "$file" || put_back "$file" || return 1
    done
  done <"$change/old/configs"
}
packages_back() {
  put_unless is_untouched
  for name in $(mine); do
    [ -e "$change/old/$name.rpm" ] || [ -z "$(version_of "$name")" ] || drop "$name" ||
      drop --noscripts --notriggers "$name"
  done
  # a package that went may have taken files that another one has too
  put_unless is_back
}
# put_unless TEST: all that was kept and is not as TEST says. Of two versions that an interrupted rpm
# has left the one that was kept stays.
put_unless() {
  test=$1; set --
  for rpm in "$change"/old/*.rpm; do
    [ -e "$rpm" ] || continue
    name=${rpm##*/}
    # a disk that is full, or a file that cannot be replaced, is no reason to fail twice
    "$test" "${name%.rpm}" || set -- "$@" "$rpm"
  done
  [ "$#" = 0 ] || put "$@" || put --noscripts --notriggers "$@"
}
is_back() {
  [ "$(build_of "$1")" = "$(build_of -p "$change/old/$1.rpm")" ] &&
    [ "$(verified "$1")" = "$(cat "$change/old/$1.verified")" ]
}
pm_hold() {
  keep_for_later || say "what is installed is not kept in $store for the next change"
  for name in $holds; do
    patiently hold "$name" >/dev/null || return 1
  done
  for name in $removes; do
    [ -z "$holds" ] || unhold "$name" >/dev/null 2>&1 9>&-
  done
}
hold() {
  if [ "$manager" = dnf ]; then
    dnf versionlock delete "$1" >/dev/null 2>&1 9>&-
    dnf versionlock add "$1" 9>&-
  else zypper --non-interactive addlock "$1" 9>&-; fi
}
unhold() {
  if [ "$manager" = dnf ]; then dnf versionlock delete "$1"
  else zypper --non-interactive removelock "$1"; fi
}
# keep_for_later: so that the next change has a way back, whatever repositories have by then
keep_for_later() {
  make_directory "$store" || return 1
  for rpm in "$store"/*.rpm; do
    [ ! -e "$rpm" ] || is_installed "$rpm" || rm -f "$rpm"
  done
  for rpm in "$change"/new/*.rpm; do
    [ -e "$rpm" ] || continue
    name=$(rpm -qp --nosignature --qf '%{NAME}' "$rpm")
    case " $(mine) " in
      *" $name "*) file=$(rpm -q --qf '%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm' "$name") &&
        mv -f "$rpm" "$store/$file" || return 1;;
    esac
  done
}
is_installed() {
  name=$(rpm -qp --nosignature --qf '%{NAME}' "$1") && [ "$(build_of "$name")" = "$(build_of -p "$1")" ]
}
