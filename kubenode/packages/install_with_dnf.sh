# shellcheck shell=sh
# Install a package of that very name, held or not. To dnf5 a version lock is one of all excludes, to
# dnf 4 a plugin's. What is fetched stays in dnf's cache: a change of it has a way back from there.

on_purpose=@ON_PURPOSE@
set --
if [ "$on_purpose" ]; then
  if [ "$(command -v dnf)" -ef "$(command -v dnf5)" ]; then set -- '--setopt=disable_excludes=*'
  else set -- --setopt=disable_excludes=main --disableplugin=versionlock; fi
fi
dnf install -y --setopt=obsoletes=False --setopt=keepcache=True "$@" @PACKAGE@
