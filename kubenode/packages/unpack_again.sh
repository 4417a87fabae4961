# shellcheck shell=sh
# Install again what dpkg was stopped at while it unpacked.

# shellcheck disable=SC2086  # a list of packages
left=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' |
  sed -n 's/^\(.H.\|..R\) //p') &&
{ [ -z "$left" ] ||
  @APT_GET@ --allow-change-held-packages \
    --reinstall install $left; }
