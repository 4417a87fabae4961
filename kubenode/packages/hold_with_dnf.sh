# shellcheck shell=sh
# Hold a package with dnf's version lock, which ends well where it finds no such package too.

if ! said=$(LC_ALL=C dnf versionlock add @PACKAGE@ 2>&1) ||
  case $said in *'No package found'*) ;; *) false;; esac
then printf '%s\n' "$said" >&2; exit 1; fi
