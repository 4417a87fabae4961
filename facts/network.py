"""The network as other nodes and kubelet meet it: names, addresses, ports, firewalls, proxies."""

from __future__ import annotations

import ipaddress
import re
from typing import TypedDict

from kubenode.run import host_script
from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import Reading, Readings

PROBE = "network"

_HOSTNAME = "/proc/sys/kernel/hostname"
_UFW_CONFIG = "/etc/ufw/ufw.conf"
_TCP, _TCP6 = "/proc/net/tcp", "/proc/net/tcp6"
_ROUTES, _ROUTES6 = "/proc/net/route", "/proc/net/ipv6_route"


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


def script() -> probe.Script:
    """The probe's script."""
    ports = "|".join(f"{port:04X}" for port in PORTS)
    # of all sockets and routes those that listen on these ports, and the default ones
    listening = rf"^ *[0-9]+: [0-9A-F]+:({ports}) [0-9A-F]+:0000 0A "
    default = "^[^[:space:]]+[[:space:]]00000000[[:space:]]|^0{32} 00 "
    return probe.Script(
        host_script.read(
            __file__,
            "network.sh",
            HOSTNAME=_HOSTNAME,
            TCP=_TCP,
            TCP6=_TCP6,
            ROUTES=_ROUTES,
            ROUTES6=_ROUTES6,
            LISTENING=listening,
            DEFAULT=default,
        ),
        files=("/etc/hostname", _UFW_CONFIG),
        kernel_files=(_HOSTNAME,),
        units=("firewalld.service",),
        properties=("ActiveState",),
        programs=("awk", "getent"),
        answers=("host", "localhost", "proxies"),
    )


def parse(reading: Reading) -> NetworkShape:
    """The shape from what the host sent."""
    firewalls = []
    if (reading.unit("firewalld.service") or {}).get("ActiveState") == "active":
        firewalls.append("firewalld")
    reading.known(_UFW_CONFIG, "/etc/hostname")
    if any(re.fullmatch(r"\s*ENABLED=yes\s*", line) for line in reading.text(_UFW_CONFIG)):
        firewalls.append("ufw")
    return {
        "hostname": _first(reading, _HOSTNAME),
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
        "default_route": _has_default_route(reading),
        "proxies": [
            setting
            for line in reading.known("proxies").text("proxies")
            if (setting := _setting(line)) is not None
        ],
    }


def _first(reading: Reading, key: str) -> str | None:
    return next((line.strip() for line in reading.text(key) if line.strip()), None)


def _addresses(reading: Reading, key: str) -> list[str] | None:
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


def _listeners(reading: Reading) -> list[ListenerShape] | None:
    if _TCP not in reading.texts:
        return None
    lines = [*reading.text(_TCP), *reading.text(_TCP6)]
    listeners = [listener for line in lines if (listener := _listener(line))]
    return sorted(listeners, key=lambda listener: (listener["port"], listener["address"]))


def _has_default_route(reading: Reading) -> bool | None:
    if _ROUTES not in reading.texts:
        return None
    # proc_net_route: interface, destination, ...; ipv6_route ends with the interface
    return any(line.split()[1:2] == ["00000000"] for line in reading.text(_ROUTES)) or any(
        line.startswith(f"{'0' * 32} 00 ") and line.split()[-1] != "lo"
        for line in reading.text(_ROUTES6)
    )


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

    .. code:: python

        {
            "hostname": "node-1",
            "hostname_file": "node-1",
            "hostname_addresses": ["192.0.2.11"],
            "localhost_addresses": ["127.0.0.1", "::1"],
            "macs": {"eth0": "52:54:00:12:34:56"},
            "listeners": [{"port": 10250, "address": "::", "uid": 0}],
            "firewalls": ["ufw"],
            "default_route": True,
            "proxies": [{"file": "/etc/environment", "line": 2, "name": "HTTPS_PROXY"}],
        }

    The host name is looked up as the host itself does (getent), at most 3 s.

    **Example:**

    .. code:: shell

        pyinfra --json INVENTORY fact kubenode.facts.network.Network
    """

    def command(self) -> str:
        return self.asking({PROBE: script()})

    def parse(self, readings: Readings) -> NetworkShape:
        return parse(readings[PROBE])
