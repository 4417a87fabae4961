# shellcheck shell=sh
# Whether CRI-O takes a configuration, and whether it serves at $socket.

# refused DIRECTORY: why CRI-O does not take its files
# shellcheck disable=SC2069  # that is on standard error, the configuration is not wanted
refused() { limited @PROGRAM_SECONDS@ crio --config-dir "$1" config 2>&1 >/dev/null; }
# check FILE: CRI-O with FILE in place of kubenode's own. It reads every file of a folder, so that
# one is looked at that has what would be there, and nothing else.
# shellcheck disable=SC2031,SC2153  # limited() has its own status
check() {
  # CRI-O takes a handler whose program is missing, and ignores it with a line in its log
  # shellcheck disable=SC2013  # a path has no blanks in it
  for program in $(sed -n 's,^ *runtime_path *= *"\(/[^" ]*\)".*,\1,p' "$1" 2>/dev/null); do
    [ -e "$program" ] || { echo "a handler's runtime_path $program is not on this host"; return 1; }
  done
  # what a killed run has left there goes
  look=$locks/look
  rm -rf "$look" && mkdir -m 0700 "$look" || return 1
  why=$({ cp -RL @DROP_INS@ "$look/d" &&
    { [ ! -e "$1" ] || cp -L "$1" "$look/d/@NAME@"; }; } 2>&1) &&
    why=$(told refused "$look/d")
  taken=$?
  rm -rf "$look"
  [ "$taken" = 0 ] && return 0
  printf '%s\n' "$why" | grep -v level=info | tail -n 3
  return 1
}
# What the daemon says of itself: no file is read for that, as a broken one would hide it.
asked() {
  limited @PROGRAM_SECONDS@ crio --config= --config-dir= status --socket "$socket" "$1" 2>/dev/null
}
cri_serves() { asked info | grep -q '^cgroup driver: '; }
# program_runs: whether the one that PATH has first runs at all
# shellcheck disable=SC2329  # for a change of the program
program_runs() { limited @PROGRAM_SECONDS@ crio --config= --config-dir= --version >/dev/null; }
# has_in_force LINE: wait until the daemon says it of itself: a reload is no answer
has_in_force() {
  waited=0
  until asked config | sed 's/^ *//' | grep -qxF -e "$1"; do
    [ "$waited" -lt 20 ] || fail "CRI-O was reloaded, and has not in force: $1"
    sleep 1
    waited=$((waited + 1))
  done
}
