"""The network: names, ports, firewalls and proxies."""

from __future__ import annotations

import re
from collections.abc import Callable

from kubenode.audit.checks.check import (
    Check,
    Evidence,
    Subject,
    Verdict,
    met,
    not_applicable,
    unknown,
    violated,
)

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")


def _hostname(subject: Subject) -> Verdict:
    network = subject.network
    name, later = network["hostname"], network["hostname_file"]
    if name is None:
        return unknown("the host does not say its name")
    # kubelet makes it lower case
    if not _NAME.fullmatch(name.lower()):
        return violated(f"{name} is no DNS name (RFC 1123)")
    if later is not None and not later.startswith("#") and later != name:
        return violated(
            f"{name}, and {later} after the next boot: the node would join under another name",
            Evidence(later, "/etc/hostname", 1),
            severity="warn",
            remedy=f"hostnamectl set-hostname {name}, or reboot before the node joins",
        )
    addresses = network["hostname_addresses"]
    if addresses is None:
        return unknown(f"{name}: nobody answered in 3 s what it resolves to")
    if not addresses:
        return violated(
            f"{name} does not resolve",
            severity="warn",
            remedy=f"name it in /etc/hosts: 127.0.1.1 {name}",
        )
    return met(f"{name} ({', '.join(addresses)})")


def _localhost(subject: Subject) -> Verdict:
    addresses = subject.network["localhost_addresses"]
    if addresses is None:
        return unknown("nobody answered in 3 s what localhost resolves to")
    if "127.0.0.1" in addresses or "::1" in addresses:
        return met(", ".join(addresses))
    return violated(f"resolves to {', '.join(addresses) or 'nothing'}")


def _route(subject: Subject) -> Verdict:
    match subject.network["default_route"]:
        case None:
            return unknown("/proc/net/route cannot be read")
        case True:
            return met("there is one")
        case _:
            return violated("there is none")


def _port(number: int) -> Callable[[Subject], Verdict]:
    def judge(subject: Subject) -> Verdict:
        listeners = subject.network["listeners"]
        if listeners is None:
            return unknown("/proc/net/tcp cannot be read")
        taken = [listener for listener in listeners if listener["port"] == number]
        if not taken:
            return met("free")
        if subject.kubelet["active"]:
            return not_applicable("kubelet runs: it is taken by the cluster itself")
        return violated(
            f"port {number} is taken",
            *(
                Evidence(f"{listener['address']} port {number}, by uid {listener['uid']}")
                for listener in taken
            ),
        )

    return judge


def _firewall(subject: Subject) -> Verdict:
    active = subject.network["firewalls"]
    if active:
        return violated(f"{', '.join(active)} is active")
    return met("neither firewalld nor ufw is active")


def _proxy(subject: Subject) -> Verdict:
    proxies = subject.network["proxies"]
    if not proxies:
        return met("none is set for services")
    return violated(
        ", ".join(f"{proxy['name']} in {proxy['file']}:{proxy['line']}" for proxy in proxies),
        *(Evidence(proxy["name"], proxy["file"], proxy["line"]) for proxy in proxies),
    )


def _port_check(number: int, who: str, *, control_plane: bool) -> Check:
    return Check(
        id=f"network.port-{number}",
        title=f"Port {number} is free for {who}",
        severity="fail",
        expected=f"nothing listens on TCP port {number} before the node joins",
        why=f"{who} does not start when something else has its port.",
        judge=_port(number),
        remedy="stop what listens there (`ss -ltnp` names it), or move it to another port",
        profiles=frozenset({"control-plane"}) if control_plane else frozenset(),
        mirrors=(f"kubeadm: Port-{number}",),
        sources=("https://kubernetes.io/docs/reference/networking/ports-and-protocols/",),
    )


CHECKS = (
    Check(
        id="network.hostname",
        title="The host name can be a node's name, and stays",
        severity="fail",
        expected="a DNS name (RFC 1123) that resolves, the same after the next boot",
        why="The node joins under it. One that is no DNS name is refused by the API server, though "
        "kubeadm only warns of it; one that changes at the "
        "next boot makes a second node of the same machine.",
        judge=_hostname,
        remedy="hostnamectl set-hostname NAME",
        mirrors=("kubeadm: Hostname (a warning there)", "k0s: host name"),
        sources=("https://kubernetes.io/docs/concepts/architecture/nodes/#node-name-uniqueness",),
    ),
    Check(
        id="network.localhost",
        title="localhost is this host",
        severity="fail",
        expected="localhost resolves to 127.0.0.1 or ::1",
        why="Probes and the control plane's components talk to each other over localhost.",
        judge=_localhost,
        remedy="add `127.0.0.1 localhost` to /etc/hosts",
        mirrors=("k0s: localhost resolves",),
    ),
    Check(
        id="network.default-route",
        title="There is a default route",
        severity="warn",
        expected="a default route, IPv4 or IPv6",
        why="kubelet and kubeadm take the address of the interface that has it for the node's, "
        "unless they are told another.",
        judge=_route,
        remedy="add a default route, or tell kubelet its address with --node-ip",
    ),
    _port_check(10250, "kubelet", control_plane=False),
    _port_check(6443, "the API server", control_plane=True),
    _port_check(10259, "the scheduler", control_plane=True),
    _port_check(10257, "the controller manager", control_plane=True),
    _port_check(2379, "etcd's clients", control_plane=True),
    _port_check(2380, "etcd's peers", control_plane=True),
    Check(
        id="network.firewall",
        title="No firewall stands in the way",
        severity="warn",
        expected="firewalld and ufw off, or the ports of Kubernetes and the CNI open in them",
        why="They drop what they do not know: traffic between nodes' kubelets, and the CNI's.",
        judge=_firewall,
        remedy="open 10250/tcp and the CNI's ports (6443, 2379-2380 on a control plane), then "
        "waive this check; or turn the firewall off",
        mirrors=("kubeadm: Firewalld",),
        sources=("https://kubernetes.io/docs/reference/networking/ports-and-protocols/",),
    ),
    Check(
        id="network.proxy",
        title="No proxy stands between the cluster's parts",
        severity="warn",
        expected="no HTTP proxy for services, or NO_PROXY for the cluster's networks",
        why="A proxy that is set for containerd or kubelet also gets what is meant for pods and "
        "the API server, unless NO_PROXY names their networks.",
        judge=_proxy,
        remedy="name the cluster's networks in NO_PROXY, then waive this check",
        mirrors=("kubeadm: HTTPProxy, HTTPProxyCIDR",),
    ),
)
