# shellcheck shell=sh
# Change a held package on purpose. It is held again, whatever comes of the change.

@UNHOLD@ || exit
(@INSTALL@)
status=$?
(@HOLD@) || exit
exit "$status"
