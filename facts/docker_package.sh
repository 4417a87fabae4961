# shellcheck shell=sh
# Docker's package probe: which Docker Engine and which cri-dockerd are installed.

value dockerd "$dockerd"
if [ -n "$dockerd" ]; then captured_part limited 10 "$dockerd" --version; value version "$output"; fi
value cri_dockerd "$cri_dockerd"
value cri_unit "$cri_unit"
if [ -n "$cri_dockerd" ]; then
  captured_part limited 10 "$cri_dockerd" --version; value cri_version "$output"
fi
captured_part limited 10 uname -m; value machine "$output"
build=
if [ -x @LINK@ ] && [ "$(readlink @LINK@)" = @ARCHIVES@/current/cri-dockerd ]; then
  build=$(readlink @ARCHIVES@/current)
  for file in @UNITS@; do [ -f "$file" ] || build=; done
fi
value cri_build "$build"
# a change of the engine that was interrupted
if [ -e @CHANGE@/back.sh ]; then
  what=
  [ ! -f @CHANGE@/what ] || IFS= read -r what <@CHANGE@/what
  value change "${what:-unknown}"
fi
# what is in MCR's licence stays on the host
if [ -f @LICENCE@ ] && [ ! -L @LICENCE@ ] && [ -r @LICENCE@ ]; then
  captured_part limited 10 sha256sum @LICENCE@
  case $status in 0) value licence_sum "${output%% *}";; *) unreadable licence_sum;; esac
  value licence_mode "$(ls -ldn -- @LICENCE@)"
elif ! is_absent @LICENCE@; then unreadable licence_sum; fi
