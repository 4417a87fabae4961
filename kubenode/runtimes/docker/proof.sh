# shellcheck shell=sh
# Whether dockerd takes a daemon.json, and whether cri-dockerd answers at $socket over an engine with
# $driver.

# with_libraries COMMAND...: with those libraries too that come with a package, and are not in place
# yet. The host's own come first.
with_libraries() (
  if [ "${change:-}" ] && [ -d "$change/root/usr" ]; then
    LD_LIBRARY_PATH=/usr/lib64:/usr/lib:$change/root/usr/lib64:$change/root/usr/lib
    export LD_LIBRARY_PATH
  fi
  "$@"
)
# --validate is there from 23.0 on; an older one's keys kubenode has looked at itself
check() {
  [ -e "$1" ] || return 0
  with_libraries limited @PROGRAM_SECONDS@ dockerd --help 2>&1 | grep -q -- '--validate' || return 0
  said=$(told with_libraries limited @PROGRAM_SECONDS@ sh -c "exec dockerd --validate --config-file \"\$1\" $dockerd_flags" sh "$1") || {
    printf '%s\n' "$said" | tail -n 3 | cut -c1-500
    return 1
  }
}
# program_runs: whether the one that PATH has first runs at all
program_runs() { with_libraries limited @PROGRAM_SECONDS@ dockerd --version >/dev/null; }
# engine_says: what it says of itself, in $said; fails where it does not answer, or nobody can ask it
engine_says() {
  if command -v docker >/dev/null; then
    said=$(told limited @PROGRAM_SECONDS@ env DOCKER_CONFIG=/nonexistent \
      docker -H unix:///run/docker.sock info --format '{{json .}}')
  elif command -v curl >/dev/null; then
    said=$(told limited @PROGRAM_SECONDS@ curl -s -f --unix-socket /run/docker.sock http://localhost/info)
  else return 0; fi
  case $said in
    *'"CgroupDriver":"'"${driver:-}"*) ;;
    *) return 1;;
  esac
}
# cri-dockerd's unit is of Type=notify: it is active once its server has started
cri_serves() {
  systemctl -q is-active docker.service && systemctl -q is-active "$cri_unit" && [ -S "$socket" ] &&
    engine_says || return 1
  command -v crictl >/dev/null || return 0
  limited @PROGRAM_SECONDS@ crictl --timeout 5s -r "unix://$socket" version >/dev/null 2>&1
}
