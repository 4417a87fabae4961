# shellcheck shell=sh
# A link in crio.conf.d to kubenode's own file, see own_file.py. The file comes first: CRI-O does not
# start with a link that leads nowhere.

needs ln
file=@FILE@ link=@LINK@
make_directory "${link%/*}" || fail "cannot make ${link%/*}: nothing was changed"
if [ ! -e "$file" ]; then
  # shellcheck disable=SC2015  # the last is for either failure
  staging "$file" && chmod 0644 "$temp" && place "$file" ||
    fail "cannot write $file: nothing was changed"
fi
if [ ! -L "$link" ]; then
  # shellcheck disable=SC2015  # the last is for either failure
  ln -s @TARGET@ "$link" && sync_directory "${link%/*}" || fail "cannot make the link $link"
fi
