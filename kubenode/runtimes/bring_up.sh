# shellcheck shell=sh
# Restart the daemon with its new files, and with the old ones where it does not come up.

@RELOAD@systemctl reset-failed @UNITS@ 2>/dev/null
# shellcheck disable=SC2015  # the last is for either failure
systemctl restart @UNITS@ && wait_for_cri @CRI_WAIT_SECONDS@ || {
  words=$(last_words)
  revert
  @RELOAD@systemctl reset-failed @UNITS@ 2>/dev/null
  # shellcheck disable=SC2015  # the last is for either failure
  systemctl restart @UNITS@ && wait_for_cri @CRI_WAIT_SECONDS@ ||
    fail "@DAEMON@ did not come up with the new configuration, and does not now either;" \
      "$outcome: $words"
  fail "@DAEMON@ did not come up with the new configuration, and @SERVES@ again;" \
    "$outcome: $words"
}
