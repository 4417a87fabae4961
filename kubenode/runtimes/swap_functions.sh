# shellcheck shell=sh
# Check new configuration files, and bring the old ones back.

# target_of FILE: where a link leads. What is there and is no file is not for us to replace.
target_of() {
  make_directory "${1%/*}" && target=$(readlink -f "$1") && [ -n "$target" ] || return 1
  if [ -e "$target" ] && [ ! -f "$target" ]; then return 1; fi
}
# judge NEW OLD SUFFIX FILE: what has become of a file since the note was written
judge() {
  # shellcheck disable=SC2015  # the last is for either failure
  target_of "$4" && now=$(sum_of "$target") || { trouble="$4 cannot be read"; return; }
  case $now in
    "$2") return;;
    "$1") ;;
    *) edited="$edited $4"; return;;
  esac
  [ "$2" != - ] || return 0
  [ "$(sum_of "$target$3")" = "$2" ] || lost="$lost $target$3"
}
# restore NEW OLD SUFFIX FILE: put back what was there
restore() {
  target_of "$4" || return 1
  if [ "$(sum_of "$target")" = "$2" ]; then return 0; fi
  if [ "$2" = - ]; then remove "$target" "$1"
  else
    stage_copy "$target$3" "$target" "$2" && commit "$target" "$1" && return
    rm -f "$temp"
    return 1
  fi
}
# is_back NEW OLD SUFFIX FILE
is_back() { target_of "$4" && [ "$(sum_of "$target")" = "$2" ]; }
# each_noted ACTION: call it for each file of the note; the first failure's file is $failed
each_noted() {
  failed=
  while read -r new old suffix path <&8; do
    case $new in @NOTE_WORD@ | @NOTE_ENDS@) continue;; esac
    "$1" "$new" "$old" "$suffix" "$path" || { failed=$path; return 1; }
  done 8<"$note"
}
is_whole() {
  [ "$(head -n 1 "$note")" = '@NOTE_BEGINS@' ] && [ "$(tail -n 1 "$note")" = @NOTE_ENDS@ ] &&
    ! grep -Evq '^(@NOTE_BEGINS@|@NOTE_ENDS@|@NOTE_LINE@)$' "$note"
}
forget() { rm -f "$note" && sync_directory "${note%/*}"; }
# revert: what the note's swap put there gives way to what was there before; $outcome is what is
# now, not what was meant
revert() {
  edited=; lost=; trouble=
  if ! is_whole; then
    outcome="$note is no note of kubenode's that could be followed: all files stay as they are"
    forget; return 1
  fi
  each_noted judge
  if [ "$trouble" ]; then
    outcome="the old configuration is NOT back: $trouble; $note has what was to be done"
    return 1
  elif [ "$edited" ]; then
    outcome="edited since, so nothing is undone and all files stay as they are:$edited"
    forget; return 1
  elif [ "$lost" ]; then
    outcome="the old configuration is NOT back, all files stay as they are: no whole backup in$lost"
    forget; return 1
  fi
  error=$({ each_noted restore || say "in $failed"; } 2>&1)
  if each_noted is_back; then
    outcome='the old configuration is back'
    forget
  else
    outcome="the old configuration is NOT back: $failed could not be replaced ($error),"
    outcome="$outcome what was in it is beside it (@BACKUP_SUFFIX@): correct that and run again"
    return 1
  fi
}
