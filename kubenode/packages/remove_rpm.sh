# shellcheck shell=sh
# Remove RPM packages where nothing needs them, held or not; what was configured keeps its name.

rpm -e --test @PACKAGES@ || exit 1
@UNHOLD@
@REMOVE@ @PACKAGES@ || exit 1
# rpm has put it aside because somebody has changed it
[ -e @FILE@ ] || [ ! -e @FILE@.rpmsave ] || mv @FILE@.rpmsave @FILE@
