# shellcheck shell=sh
# The probe of CRI-O's release archives: which build is in use, and whether it is as it was unpacked.

captured_part limited 10 uname -m; value machine "$output"
check_sums() { (cd "$1" && grep -Fxv @SUMS_END@ @SUMS@ | limited 20 sha256sum -c 2>&1); }
if [ -L @ROOT@/current ]; then
  build=$(readlink @ROOT@/current)
  value build "$build"
  case $build in
    *[!0-9A-Za-z.-]* | '' | .*) value whole no;;
    *)
      if [ "$(readlink @PROGRAMS_IN@/crio)" != @ROOT@/current/crio ] || [ ! -f @UNIT_FILE@ ] ||
        [ ! -f @DROP_IN@ ] || [ ! -f "@ROOT@/$build/@SUMS@" ] ||
        [ "$(tail -n 1 "@ROOT@/$build/@SUMS@")" != @SUMS_END@ ]; then value whole no
      elif ! command -v sha256sum >/dev/null || ! trusted "@ROOT@/$build"; then unreadable whole
      else
        captured_part check_sums "@ROOT@/$build"
        case $status in 0) value whole yes;; 1) value whole no;; *) unreadable whole;; esac
      fi;;
  esac
elif is_absent @ROOT@/current; then value build ''
else unreadable build; fi
