# shellcheck shell=sh
# The daemon probe, third part: the hosts.toml files of the directories in use. Values of headers
# stay on the host.

# only_names FILE: the lines of a hosts.toml into $masked, each behind a colon, without the values of
# headers and without comments. $named gets the files it names. Where it is not sure what is a
# header's value, $unclear says why, and nothing is sent.
cr=$(printf '\r')
only_names() {
  masked=; header=; unclear=; directory=${1%/*}
  while IFS= read -r line || [ -n "$line" ]; do
    line=${line%"$cr"}
    bare=${line#"${line%%[!	 ]*}"}; bare=${bare%"${bare##*[!	 ]}"}
    case $bare in
      '') ;;
      '#'*) line='#';;
      '["'*'],' | "['"*'],')
        case $header$bare in yes* | *[Hh][Ee][Aa][Dd][Ee][Rr]*) unclear='a header';; esac
        names "$bare";;
      '['*)
        case $bare in *']'*'#'*) bare=${bare%'#'*}; bare=${bare%"${bare##*[!	 ]}"};; esac
        line=$bare
        case $bare in
          *[Hh][Ee][Aa][Dd][Ee][Rr]\] | *[Hh][Ee][Aa][Dd][Ee][Rr][\"\']\]) header=yes;;
          '[host."'*'"'*'"]' | "[host.'"*"'"*"']")
            case $bare in *[Hh][Ee][Aa][Dd][Ee][Rr]*) unclear='a header';; *) header=;; esac;;
          '[host."'*'"]' | "[host.'"*"']") header=;;
          *[Hh][Ee][Aa][Dd][Ee][Rr]* | *\\*) unclear='a header';;
          *\]) header=;;
          *) unclear='a table';;
        esac
        case $bare in *://*@*) unclear='a password in a URL';; esac;;
      *)
        key=${bare%%=*}; rest=${bare#*=}
        if [ "$header" ]; then
          plain=${key%"${key##*[!	 ]}"}; plain=${plain#[\"\']}; plain=${plain%[\"\']}
          case $bare in *=*) ;; *) plain=;; esac
          case $plain in '' | *[!A-Za-z0-9_-]*) unclear='a header';; esac
          rest=${rest#"${rest%%[!	 ]*}"}
          case $rest in
            '"""'* | "'''"*) unclear='a header';;
            \"* | \'*) line="$key= \"\"";;
            \[*\]) line="$key= [\"\"]";;
            \[*) unclear='a header';;
            *) line="$key= 0";;
          esac
        else
          case $key in *[Hh][Ee][Aa][Dd][Ee][Rr]* | *\\*) unclear='a header';; esac
          case $rest in *'{'*[Hh][Ee][Aa][Dd][Ee][Rr]* | *'{'*\\*) unclear='a header';; esac
          case $bare in *://*@*) unclear='a password in a URL';; esac
          case $bare in
            [Cc][Aa][Pp]*) ;;
            [Cc][Aa]* | [Cc][Ll]* | \"* | \'* | \[*) names "${bare#*=}";;
          esac
        fi;;
    esac
    [ -z "$unclear" ] || break
    masked=$masked:$line$nl
  done <"$1"
}
# names TEXT: what stands in quotes are files
names() {
  set -f; IFS=\"\'
  for word in $1; do
    case $word in
      *[!\ ,\[\]]*)
        case $word in /*) ;; *) word=$directory/$word;; esac
        if is_key "$word"; then named=$named$word$nl; fi;;
    esac
  done
  set +f; unset IFS
}
with_errors() { "$@" 2>&1; }
registry_path=; registry_table=
set -f; IFS=$nl
for line in $dump; do
  line=${line#"${line%%[! ]*}"}
  case $registry_table$line in
    '['*cri*.registry\]) registry_table=yes;;
    'yes['*) registry_table=;;
    'yesconfig_path = '*) value_of "$line"; registry_path=${value:-$registry_path};;
  esac
done
IFS=:
# shellcheck disable=SC2086  # split on purpose
set -- ${registry_path:-@DEFAULT_DIRECTORY@}
set +f; unset IFS
registry_files=; own_files=; named=; count=0; total=0
for place; do
  case $place in /*) ;; *) continue;; esac
  is_key "$place" || continue
  if [ ! -d "$place" ]; then
    if is_absent "$place"; then absent "registry:$place"; else unreadable "registry:$place"; fi
    continue
  fi
  if ! trusted "$place"; then distrusted "registry:$place"; continue; fi
  if [ ! -r "$place" ] || [ ! -x "$place" ]; then unreadable "registry:$place"; continue; fi
  found=; own=; more=; keys=
  for folder in "$place"/*; do
    [ -d "$folder" ] || continue
    case $folder in *@BACKUP_SUFFIX@*) continue;; esac
    is_key "$folder" || continue
    count=$((count + 1))
    if [ "$count" -gt 64 ]; then unreadable "registry:$place"; more=yes; break; fi
    found=$found${folder##*/}$nl
    if [ ! -x "$folder" ] || [ ! -r "$folder" ]; then unreadable "$folder/hosts.toml"; continue; fi
    if [ -e "$folder/hosts.toml" ] || [ -L "$folder/hosts.toml" ]; then
      registry_files=$registry_files$folder/hosts.toml$nl
    fi
    for file in "$folder"/kubenode-*.pem; do
      if [ -f "$file" ] && is_key "$file"; then own=$own$file$nl; fi
    done
    for file in "$folder"/*.key; do
      if [ -f "$file" ] && is_key "$file"; then keys=$keys$file$nl; fi
    done
  done
  if [ "$more" ]; then continue; fi
  own_files=$own_files$own; named=$named$keys
  said "registry:$place" "$found"
done
if [ -n "$registry_files$own_files" ]; then
  set -f; IFS=$nl
  # shellcheck disable=SC2086  # split on purpose
  set -- $registry_files $own_files
  set +f; unset IFS
  learn "$@"
  set -f; IFS=$nl
  # shellcheck disable=SC2086  # split on purpose
  set -- $learned
  set +f; unset IFS
  listed=
  if [ $# -gt 0 ]; then
    listed=$(ls -ldnL -- "$@" 2>/dev/null)
    said registry_modes "$listed"
    status=missing
    if command -v sha256sum >/dev/null; then captured_part limited 10 sha256sum -- "$@"; fi
    case $status in 0) said registry_sums "$output";; *) unreadable registry_sums;; esac
  fi
  set -f; IFS=$nl
  for line in $listed; do
    file=/${line#* /}; IFS=' '
    # shellcheck disable=SC2086  # split on purpose
    set -- $line
    IFS=$nl
    case $file in */hosts.toml) ;; *) continue;; esac
    size=$5
    case $size in '' | *[!0-9]*) unreadable "$file"; continue;; esac
    total=$((total + size))
    if [ "$size" -gt 65536 ] || [ "$total" -gt 262144 ]; then
      unreadable "$file"; said "registry_why:$file" 'it is too long'
    elif [ ! -r "$file" ]; then unreadable "$file"
    else
      only_names "$file"
      set -f; IFS=$nl
      if [ -n "$unclear" ]; then said "registry_why:$file" "$unclear"; unreadable "$file"
      else said "registry_text:$file" "$masked"; fi
      set -f; IFS=$nl
    fi
  done
  set +f; unset IFS
fi
set -f; IFS=$nl
# shellcheck disable=SC2086  # split on purpose
set -- $named
set +f; unset IFS
if [ $# -gt 256 ]; then unreadable registry_named
elif [ $# -gt 0 ]; then
  captured_part with_errors limited 10 ls -ldnL -- "$@"
  case $status in
    late | cut) unreadable registry_named;;
    *) said registry_named "$output";;
  esac
fi
