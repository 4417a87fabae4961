#!/bin/sh
# Inside the new root: what makes a Debian a Vagrant box.
set -eu
useradd --create-home --shell /bin/bash --password '*' vagrant
install -d -m 700 -o vagrant -g vagrant /home/vagrant/.ssh
install -m 600 -o vagrant -g vagrant /vagrant.pub /home/vagrant/.ssh/authorized_keys
echo 'vagrant ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/vagrant
chmod 440 /etc/sudoers.d/vagrant
printf 'auto lo\niface lo inet loopback\n\nallow-hotplug eth0\niface eth0 inet dhcp\n' \
  >/etc/network/interfaces
echo '/dev/vda1 / ext4 defaults,noatime 0 1' >/etc/fstab
echo kubenode >/etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 kubenode\n' >/etc/hosts
# a login must not wait for a name server that knows nothing of the network
echo 'UseDNS no' >/etc/ssh/sshd_config.d/vagrant.conf
# nothing else may hold apt's lock, or the slow CPU of an emulated machine
for unit in apt-daily.timer apt-daily-upgrade.timer man-db.timer e2scrub_all.timer \
  e2scrub_reap.service; do
  systemctl mask "$unit" >/dev/null 2>&1 || :
done
: >/etc/machine-id
echo 'Acquire::Languages "none";' >/etc/apt/apt.conf.d/99languages
