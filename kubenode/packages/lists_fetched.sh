# shellcheck shell=sh
# Fetch apt's lists as far as its sources answer.

patiently run && exit
status=$?
why=$(@SIMULATION@ 2>&1 >/dev/null) || { say "$why"; exit "$status"; }
say 'apt-get update failed in part: correct or remove the source that is named above.' \
  'What is wanted can be installed without it.'
