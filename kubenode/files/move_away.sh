# shellcheck shell=sh
# Directories get another name beside them, with all that is in them: see move_away() of
# whole_file.py.

for directory in @DIRECTORIES@; do
  if [ ! -d "$directory" ]; then continue; fi
  moved=$directory@BACKUP_SUFFIX@; number=0
  while [ -e "$moved" ] || [ -L "$moved" ]; do
    number=$((number + 1)); moved=$directory@BACKUP_SUFFIX@.$number
  done
  # shellcheck disable=SC2015  # the last is for any failure
  chmod 0700 "$directory" && mv "$directory" "$moved" && sync_directory "${directory%/*}" ||
    fail "cannot move $directory to $moved"
done
