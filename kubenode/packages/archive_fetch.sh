# shellcheck shell=sh
# Bring archives to a host, by its own curl or wget or from the control machine: see brought() of
# archive_transfer.py.

@FUNCTIONS@
archive_store=@STORE@
needs chmod chown df head id mkdir mv tail
by=
# how the operations and the settings call it
control='fetched_by="control", or kubenode_containerd_fetched_by'
# choose: what fetches
choose() {
  if [ -n "$by" ]; then return 0; fi
  if command -v curl >/dev/null; then by=curl
  elif command -v wget >/dev/null; then
    by=wget
    case $(wget --version 2>&1 | head -n 1) in *'GNU Wget'*) by=gnu_wget;; esac
  else
    fail "this host has neither curl nor wget: let the control machine fetch ($control)," \
      'or install curl; nothing was changed'
  fi
}
# download URL: into $temp. No more than a release has may come, whatever the server sends.
download() {
  # in blocks of 512 or 1024 bytes
  # shellcheck disable=SC3045  # where it is missing there is no limit
  ulimit -f @MOST_BLOCKS@ 2>/dev/null
  case $by in
    curl)
      case $1 in https:*) only='=https';; *) only='=http,https';; esac
      limited @FETCH_SECONDS@ curl --silent --show-error --fail --location --max-redirs 5 \
        --proto "$only" --proto-redir "$only" --connect-timeout 30 --speed-limit 1000 \
        --speed-time 60 --output "$temp" -- "$1";;
    gnu_wget)
      limited @FETCH_SECONDS@ wget -S --tries=1 --timeout=60 --max-redirect=5 \
        -O "$temp" -- "$1";;
    wget) limited @FETCH_SECONDS@ wget -S -O "$temp" "$1";;
  esac
}
no_room() { fail "cannot write in $archive_store: nothing was changed; $(room "$archive_store")"; }
# fetch URL SUM
fetch() {
  if has_stored "$2"; then return 0; fi
  choose
  rm -f "$archive_store/$2"
  staging "$archive_store/$2" || no_room
  said=$(download "$1" 2>&1 >/dev/null); status=$?
  case $1 in
    https:*)
      # wget has no option for it
      case $said in
        *'ocation: http:'*) fail "$1 leads to an address without TLS: state the address of a" \
          "server that does not, or let the control machine fetch it ($control);" \
          'nothing was changed';;
      esac;;
  esac
  if [ "$status" != 0 ]; then
    case $status:$said in
      124:* | 137:*) said="no end within @FETCH_SECONDS@ s";;
      1:'curl: (1)'*) said="it leads to an address without TLS: ${said#curl: (1) }";;
      153:* | *'ize limit'*) said='it is longer than a release';;
      *ertificate*) said="$said; this host's clock says $(date -u +%Y-%m-%dT%H:%MZ)";;
      *) said="$(printf '%s\n' "$said" | tail -n 3 | cut -c1-300)";;
    esac
    fail "cannot fetch $1 ($by: $said); nothing was changed. Correct the address, or what is in" \
      "its way, or let the control machine fetch it ($control); $(room "$archive_store")"
  fi
  got=$(sum_of "$temp")
  [ "$got" = "$2" ] || fail "$1 is not what was asked for: its sha256 is $got, not $2. State the" \
    'right sum of the right file, or ask who serves it; nothing was changed'
  # shellcheck disable=SC2015  # the last is for either failure
  chmod 0600 "$temp" && place "$archive_store/$2" ||
    no_room
}
open_store || fail "cannot use $archive_store: nothing was changed"
clear_store @SUMS@
@STEPS@
