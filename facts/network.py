"""The network as other nodes and kubelet meet it: names, addresses, ports, firewalls, proxies."""

from __future__ import annotations

import ipaddress
import re
from typing import TypedDict

from kubenode import probe
from kubenode.facts.probe_fact import ProbeFact

PROBE = "network"


class ListenerShape(TypedDict):
    """Something that listens on a TCP port."""

    port: int
    address: str
    """``0.0.0.0``, ``::``, ``127.0.0.1``, ..."""
    uid: int


class SettingShape(TypedDict):
    """A line that sets a proxy."""

    file: str
    line: int
    name: str
    """Such as ``HTTP_PROXY``. Its value is not sent: it may hold a password."""


class NetworkShape(TypedDict):
    """What :class:`Network` returns."""

    hostname: str | None
    """The kernel's (``uname -n``)."""
    hostname_file: str | None
    """``/etc/hostname``: the name after the next boot."""
    hostname_addresses: list[str] | None
    """What it resolves to (getent), empty when to nothing, None when nobody answered in time."""
    localhost_addresses: list[str] | None
    macs: dict[str, str]
    """MAC address by interface, of those with a device behind them: no bridge, tunnel or veth."""
    listeners: list[ListenerShape] | None
    """Of ``PORTS`` only; None when ``/proc/net/tcp`` could not be read."""
    firewalls: list[str]
    """Active ones of ``firewalld`` and ``ufw``."""
    default_route: bool | None
    proxies: list[SettingShape]
    """In ``/etc/environment``, the units of containerd and kubelet, and their drop-ins."""


PORTS = (2379, 2380, 6443, 10250, 10257, 10259)
"""What kubeadm wants to be free: etcd, API server, kubelet, controller manager, scheduler."""


def script() -> str:
    """The probe's shell script."""
    ports = "|".join(f"{port:04X}" for port in PORTS)
    # the whole line is looked at on the host, and only the setting's name is sent
    names = (
        r"""/^[ \t]*[#;]/ { next } """
        r"""{ line = toupper($0); if (match(line, /(HTTPS?|ALL)_PROXY=/)) """
        r"""print FILENAME ":" FNR ":" substr(line, RSTART, RLENGTH - 1) }"""
    )
    return rf"""
text /proc/sys/kernel/hostname
text /etc/hostname
limited() {{ if command -v timeout >/dev/null; then timeout 3 "$@"; else "$@"; fi; }}
resolved() {{
  found=$(limited getent ahosts "$2"); status=$?
  case $status in
    0|2) printf '%s\n' "$found" | lines "$1";;
    *) unreadable "$1";;
  esac
}}
read -r name </proc/sys/kernel/hostname && resolved host "$name"
resolved localhost localhost
for interface in /sys/class/net/*; do
  [ -e "$interface/device" ] && read -r mac <"$interface/address" &&
    value "mac:${{interface##*/}}" "$mac"
done
if [ -r /proc/net/tcp ]; then
  grep -hE '^ *[0-9]+: [0-9A-F]+:({ports}) [0-9A-F]+:0000 0A ' /proc/net/tcp /proc/net/tcp6 |
    lines listeners
fi
if [ -d /run/systemd/system ]; then value firewalld "$(systemctl is-active firewalld)"; fi
text /etc/ufw/ufw.conf
if [ -r /proc/net/route ]; then
  if grep -qE '^[^	 ]+	00000000	' /proc/net/route ||
    grep -E '^0{{32}} 00 ' /proc/net/ipv6_route | grep -qv ' lo$'
  then value default_route yes; else value default_route no; fi
fi
set --
for file in /etc/environment /etc/systemd/system/containerd.service.d/*.conf \
  /etc/systemd/system/kubelet.service.d/*.conf /etc/systemd/system.conf.d/*.conf; do
  [ -f "$file" ] && set -- "$@" "$file"
done
[ $# = 0 ] || awk '{names}' "$@" | lines proxies
true
"""


def parse(reading: probe.Reading) -> NetworkShape:
    """The shape from what the host sent."""
    route = reading.value("default_route")
    firewalls = []
    if reading.value("firewalld") == "active":
        firewalls.append("firewalld")
    if any(re.fullmatch(r"\s*ENABLED=yes\s*", line) for line in reading.text("/etc/ufw/ufw.conf")):
        firewalls.append("ufw")
    return {
        "hostname": _first(reading, "/proc/sys/kernel/hostname"),
        "hostname_file": _first(reading, "/etc/hostname"),
        "hostname_addresses": _addresses(reading, "host"),
        "localhost_addresses": _addresses(reading, "localhost"),
        "macs": {
            key.removeprefix("mac:"): value
            for key, value in reading.values.items()
            if key.startswith("mac:") and re.fullmatch(r"(?:[0-9a-f]{2}:)+[0-9a-f]{2}", value)
        },
        "listeners": _listeners(reading),
        "firewalls": firewalls,
        "default_route": {"yes": True, "no": False}.get(route or ""),
        "proxies": [
            setting for line in reading.text("proxies") if (setting := _setting(line)) is not None
        ],
    }


def _first(reading: probe.Reading, key: str) -> str | None:
    return next((line.strip() for line in reading.text(key) if line.strip()), None)


def _addresses(reading: probe.Reading, key: str) -> list[str] | None:
    if key not in reading.texts:
        return None
    found = (line.split()[0] for line in reading.text(key) if line.split())
    return list(dict.fromkeys(address for address in found if _is_address(address)))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _listeners(reading: probe.Reading) -> list[ListenerShape] | None:
    if "listeners" not in reading.texts:
        return None
    listeners = [listener for line in reading.text("listeners") if (listener := _listener(line))]
    return sorted(listeners, key=lambda listener: (listener["port"], listener["address"]))


def _listener(line: str) -> ListenerShape | None:
    """A line of ``/proc/net/tcp`` or ``tcp6``, see proc_net_tcp(5)."""
    words = line.split()
    if len(words) < 8 or not words[7].isdecimal():
        return None
    found = re.fullmatch(r"([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})", words[1])
    if not found:
        return None
    # 32-bit words in the byte order of the machine, which is little-endian where Kubernetes runs
    digits = found[1]
    octets = b"".join(
        bytes.fromhex(digits[index : index + 8])[::-1] for index in range(0, len(digits), 8)
    )
    return {
        "port": int(found[2], 16),
        "address": str(ipaddress.ip_address(octets)),
        "uid": int(words[7]),
    }


def _setting(line: str) -> SettingShape | None:
    file, _, rest = line.rpartition(":")
    file, _, number = file.rpartition(":")
    if not file.startswith("/") or not number.isdecimal() or len(number) > 9:
        return None
    return {"file": file, "line": int(number), "name": rest}


class Network(ProbeFact[NetworkShape]):
    """
    Returns names, addresses, ports, firewalls and proxies (:class:`NetworkShape`).

    The host name is looked up as the host itself does (getent), at most 3 s.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.network.Network
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: dict[str, probe.Reading]) -> NetworkShape:
        return parse(readings[PROBE])
