# shellcheck shell=sh
# The CNI plugins' probe: what was installed of a release's archive, and whether it is as it was.

captured uname -m; value machine "$output"
note=@NOTE@
if [ -f "$note" ] && trusted "$note"; then
  # shellcheck disable=SC2016  # sed's
  captured_part limited 10 head -c 32768 "$note"; noted=$output
  said note "$noted"
  directory=${noted%%"$nl"*}; directory=${directory##* }
  if ! command -v sha256sum >/dev/null || ! is_key "$directory" || ! trusted "$directory"; then
    unreadable whole
  else
    check_sums() {
      (cd "$1" && sed '1d;$d' "$note" | limited 20 sha256sum -c 2>&1)
    }
    captured_part check_sums "$directory"
    case $status in 0) value whole yes;; 1) value whole no;; *) unreadable whole;; esac
  fi
elif [ -e "$note" ] || ! is_absent "$note"; then unreadable note
else empty note; fi
