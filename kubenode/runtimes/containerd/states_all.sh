# shellcheck shell=sh
# Whether containerd knows what is configured: its dump leaves out what it does not know.

# plain: a dump without quotes, in small letters
plain() { tr -d "\"'" | tr '[:upper:]' '[:lower:]'; }
# states_all FILE: whether all of $expected, a name a line, is in what containerd makes of the file
states_all() {
  dump=$(limited @PROGRAM_SECONDS@ containerd --config="$1" config dump 2>/dev/null |
    head -c @MOST_DUMP@ | plain)
  table=; stated=$nl
  set -f; IFS=$nl
  for line in $dump; do
    line=${line#"${line%%[! ]*}"}
    case $line in
      '['*) table=${line#'['}; table=${table#'['}; table=${table%%']'*}; stated=$stated$table$nl;;
      *' = '*) stated=$stated${table:+$table.}${line%% = *}$nl;;
    esac
  done
  unknown=
  for name in $expected; do
    case $stated in *"$nl$name$nl"*) ;; *) unknown="$unknown $name";; esac
  done
  set +f; unset IFS
  [ -z "$unknown" ] || {
    printf 'this release knows nothing of%s, and ignores it\n' "$unknown"
    return 1
  }
}
