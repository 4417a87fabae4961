# shellcheck shell=sh
# Hold a package with dnf's version lock, in place of one of another version. dnf ends well where it
# finds no such package too.

dnf versionlock delete @PACKAGE@ >/dev/null 2>&1
if ! said=$(dnf versionlock add @PACKAGE@ 2>&1) ||
  case $said in *'No package found'*) ;; *) false;; esac
then fail "$said"; fi
