#!/bin/sh
# Last step of an RPM host's build, run inside it as root: $1 is its package manager.
set -eu

rpm --install --nosignature /srv/rpm/userland/*.rpm

# the wrapper that stands before runc calls Debian's name
ln -s /usr/bin/runc /usr/sbin/runc.real

repository=/etc/yum.repos.d/distribution.repo
case $1 in
  dnf)
    mkdir -p /etc/dnf/vars
    echo 13 >/etc/dnf/vars/releasever
    printf '[main]\nenabled=0\n' >/etc/dnf/plugins/local.conf;;
  dnf5)
    # as Fedora has it
    ln -s dnf5 /usr/bin/dnf
    printf '[main]\nenabled=0\n' >/etc/dnf/libdnf5-plugins/local.conf
    mkdir -p /etc/dnf/vars
    echo 14 >/etc/dnf/vars/releasever;;
  zypper) repository=/etc/zypp/repos.d/distribution.repo;;
esac
mkdir -p "${repository%/*}"
cat >"$repository" <<REPOSITORY
[distribution]
name=What the distribution has
baseurl=file:///srv/rpm/distribution
enabled=1
gpgcheck=1
repo_gpgcheck=1
gpgkey=file:///srv/rpm/good.asc
REPOSITORY

# Debian's own package manager is out of everybody's sight
mkdir -p /opt/debian/bin
for program in /usr/bin/apt* /usr/bin/dpkg* /usr/sbin/dpkg*; do
  [ ! -e "$program" ] || mv "$program" /opt/debian/bin/
done
mv /var/lib/dpkg /opt/debian/dpkg
mv /etc/apt /opt/debian/etc-apt
rm -rf /var/lib/apt /var/cache/apt
