# shellcheck shell=sh
# Restart kubelet as it is installed now, and wait until it is healthy: see service.py.

unit=kubelet.service
program=$(command -v kubelet) || fail "kubelet is not in PATH"
# it parses its flags before it prints its version, and starts nothing
why=$(told limited @PROGRAM_SECONDS@ "$program" @FLAGS@ --version) ||
  fail "kubelet does not take its flags, and was not restarted: $(printf '%s\n' "$why" | tail -n 3)"
systemctl daemon-reload
systemctl reset-failed kubelet.service 2>/dev/null
# shellcheck disable=SC2015  # the last is for either failure
systemctl restart kubelet.service && wait_for_cri @WAIT_SECONDS@ ||
  fail "kubelet was restarted, and is not healthy after @WAIT_SECONDS@ s: $(last_words)"
