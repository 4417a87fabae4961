# shellcheck shell=sh
# Restart containerd with its new files, and with the old ones where it does not come up.

systemctl reset-failed containerd.service 2>/dev/null
# shellcheck disable=SC2015  # the last is for either failure
systemctl restart containerd.service && wait_for_cri @CRI_WAIT_SECONDS@ || {
  words=$(last_words)
  revert
  systemctl reset-failed containerd.service 2>/dev/null
  # shellcheck disable=SC2015  # the last is for either failure
  systemctl restart containerd.service && wait_for_cri @CRI_WAIT_SECONDS@ ||
    fail "containerd did not come up with the new configuration, and does not now either;" \
      "$outcome: $words"
  fail "containerd did not come up with the new configuration, and serves CRI again;" \
    "$outcome: $words"
}
