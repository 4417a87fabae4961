#!/bin/sh
# Last step of a target image's build, run inside it as root.
set -eu

chmod 755 /usr/local/sbin/target-init /usr/sbin/runc
# the package's runc lands beside the wrapper, under the name that the wrapper calls
dpkg-divert --quiet --local --no-rename --divert /usr/sbin/runc.real --add /usr/sbin/runc

# operator may become root, stranger may not; both log in by key only
for user in operator:1500 stranger:1501; do
  useradd --create-home --gid users --shell /bin/bash --uid "${user#*:}" --password '*' "${user%:*}"
done
(umask 0227 && echo 'operator ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/operator)

# no job takes apt's lock or the CPU behind a test's back
for timer in apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all fstrim man-db; do
  ln -sf /dev/null "/etc/systemd/system/$timer.timer"
done

# stock container images forbid packages to start their services: no real host does
rm -f /usr/sbin/policy-rc.d
: >/etc/machine-id
