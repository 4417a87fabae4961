# shellcheck shell=sh
# Install again what dpkg was stopped at while it unpacked.
# shellcheck disable=SC2086  # $left is split on purpose

left=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | sed -n 's/^\(.H.\|..R\) //p') &&
{ [ -z "$left" ] || DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Options::=--force-confdef \
  -o Dpkg::Options::=--force-confold --allow-change-held-packages --reinstall install $left; }
