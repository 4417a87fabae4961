# shellcheck shell=sh
# Hold a package with dnf's version lock, which ends well where it finds no such package too.

if ! said=$(dnf versionlock add @PACKAGE@ 2>&1) ||
  case $said in *'No package found'*) ;; *) false;; esac
then fail "$said"; fi
