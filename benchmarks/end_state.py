"""What all subjects have to reach, and that a run changed nothing: read on the hosts themselves."""

from __future__ import annotations

from benchmarks.hosts import Hosts

# Read by other means than kubenode's facts: what the kernel, systemd, dpkg and containerd say.
_STATE = """
for key in bridge/bridge-nf-call-iptables bridge/bridge-nf-call-ip6tables ipv4/ip_forward; do
  echo "live $key $(cat /proc/sys/net/$key)"
done
/usr/lib/systemd/systemd-sysctl --cat-config | sed 's/ *= */=/' |
  grep -E '^net[./](bridge[./]bridge-nf-call-ip6?tables|ipv4[./]ip_forward)=' | sort -u |
  sed 's/^/boot /'
for module in $(cat /etc/modules-load.d/k8s.conf); do echo "boot $module"; done
echo "package $(dpkg-query -W -f '${db:Status-Status}' containerd)"
echo "hold $(apt-mark showhold)"
echo "unit $(systemctl is-enabled containerd) $(systemctl is-active containerd)"
echo "driver $(containerd config dump | grep -c '^ *SystemdCgroup = true')"
echo "cri $(ctr plugins ls | awk '$1 ~ /grpc/ && $2 == "cri" { print $NF }')"
echo "crictl $(grep -c unix:///run/containerd/containerd.sock /etc/crictl.yaml)"
"""

_EXPECTED = """\
live bridge/bridge-nf-call-iptables 1
live bridge/bridge-nf-call-ip6tables 1
live ipv4/ip_forward 1
boot net.bridge.bridge-nf-call-ip6tables=1
boot net.bridge.bridge-nf-call-iptables=1
boot net.ipv4.ip_forward=1
boot overlay
boot br_netfilter
package installed
hold containerd
unit enabled active
driver 1
cri ok
crictl 2
"""

# Every file a subject could change, with its times, and the daemon that must not be restarted.
# Ansible leaves an empty folder for its files below /root.
_TRACES = """
find /boot /etc /home /opt /root /usr /var/lib -xdev -path /var/lib/systemd -prune -o \\
  -path /root/.ansible -prune -o -path /root -o -path '/var/lib/containerd/*' -prune -o \\
  -printf '%p %s %T@ %C@ %m %u\\n' | sort | sha256sum
cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/bridge/bridge-nf-call-ip*tables
systemctl show containerd -p MainPID -p ExecMainStartTimestampMonotonic 2>&1
"""


class WrongState(Exception):
    """A subject left a host in another state than it should."""


def check(hosts: Hosts, subject: str) -> None:
    """WrongState unless every host is a node."""
    for target, found in zip(hosts.targets, hosts.each(_STATE), strict=True):
        if found != _EXPECTED:
            wrong = sorted(set(found.splitlines()) ^ set(_EXPECTED.splitlines()))
            raise WrongState(f"{subject} left {target.name} otherwise: {'; '.join(wrong)}")


def traces(hosts: Hosts) -> list[str]:
    """What differs, host by host, as soon as something was changed."""
    return hosts.each(_TRACES)
