# shellcheck shell=sh
# What apt would do to install packages: it does nothing, and writes no cache.

simulate() {
  # shellcheck disable=SC2086  # split on purpose
  limited 60 apt-get -q -s -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= install \
    --no-install-recommends --allow-downgrades --allow-change-held-packages @PACKAGES@ 2>&1
}
need apt-get && { captured_part simulate; value simulation_status "$status"; }
said simulation "$output"
