"""Sysctls: right now, and right after the next boot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubenode import profiles
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
from kubenode.audit.checks.kernel_modules import is_there
from kubenode.audit.checks.references import BR_NETFILTER_LIVE
from kubenode.facts.kernel import LineShape, SysctlShape
from kubenode.linux import sysctl_d
from kubenode.linux.sysctl_value import is_value, words
from kubenode.profiles import ProfileName

KERNEL_DEFAULTS = {
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
    "net.ipv4.ip_forward": "0",
    "net.ipv6.conf.default.forwarding": "0",
}
"""What the kernel itself starts with (Documentation/networking/ip-sysctl.rst and br_netfilter)."""


def _live(subject: Subject, wanted: Mapping[str, str]) -> Verdict:
    """The live values; keys of a module that is not there are that module's finding."""
    found, bad, may_be = [], False, False
    for key, value in wanted.items():
        sysctl = subject.sysctls["keys"][key]
        if sysctl["live_state"] == "absent" and _waits_for_module(subject, key):
            found.append(f"{key} needs br_netfilter, {BR_NETFILTER_LIVE}")
        elif sysctl["live_state"] == "unreadable":
            found.append(f"{key} cannot be read")
            may_be = True
        elif _is(key, sysctl["live"], value):
            found.append(f"{key} = {value}")
        else:
            bad = True
            now = "not there" if sysctl["live"] is None else f"= {sysctl['live']}"
            later = _at_boot(key, sysctl)
            note = ", set at boot, not live: reboot or apply" if _is(key, later, value) else ""
            found.append(f"{key} {now}{note}")
    text = "; ".join(found)
    if bad:
        return violated(text)
    if may_be:
        return unknown(text)
    if all("needs br_netfilter" in line for line in found):
        return not_applicable(text)
    return met(text)


def _boot(subject: Subject, wanted: Mapping[str, str]) -> Verdict:
    found, evidence, bad, may_be = [], [], False, False
    for key, value in wanted.items():
        sysctl = subject.sysctls["keys"][key]
        winner = sysctl["winner"]
        if sysctl["boot_state"] == "unknown":
            why = sysctl.get("reason", "what could not be read may set it")
            found.append(f"{key} unknown: {why}")
            may_be = True
            continue
        boot = _at_boot(key, sysctl)
        by = f" ({winner['file']}:{winner['line']} wins)" if winner else ""
        if _is(key, boot, value):
            found.append(f"{key} = {value}{by or ' (kernel default)'}")
        else:
            bad = True
            lost = "live, lost at reboot: " if _is(key, sysctl["live"], value) else ""
            what = f"{boot} at boot" if winner else f"no file sets it{_default(boot)}"
            found.append(f"{key} {lost}{what}{by}")
        if winner:
            evidence.append(_line(winner, "wins"))
        evidence += [_line(line, "is overruled") for line in sysctl["beaten"]]
        evidence += [_line(line, line["reason"]) for line in sysctl["ignored"]]
        if sysctl.get("more"):
            evidence.append(Evidence(f"and {sysctl['more']} more lines about {key}"))
    text = "; ".join(found)
    if bad:
        return violated(text, *evidence)
    return unknown(text, *evidence) if may_be else met(text, *evidence)


def _is(key: str, value: str | None, wanted: str) -> bool:
    return value is not None and is_value(sysctl_d.path_of(key), value, wanted)


def _default(boot: str | None) -> str:
    return f", the kernel's default is {boot}" if boot is not None else ""


def _at_boot(key: str, sysctl: SysctlShape) -> str | None:
    if sysctl["boot_state"] == "unset":
        return KERNEL_DEFAULTS.get(key)
    return sysctl["boot"]


def _line(line: LineShape, what: str) -> Evidence:
    return Evidence(f"{line['key']}={line['value']} {what}", line["file"], line["line"])


def _waits_for_module(subject: Subject, key: str) -> bool:
    return key.startswith("net.bridge.") and is_there(subject, "br_netfilter") is False


def _others(subject: Subject) -> dict[str, str]:
    """Sysctls of the settings that no other check is about."""
    covered = {"net.ipv4.ip_forward"}
    for profile in subject.aim.profiles:
        covered |= set(profiles.PROFILES[profile].sysctls)
    return {
        key: words(value)
        for key, value in subject.aim.sysctls.items()
        if key.replace("/", ".") not in covered
    }


def _settings_live(subject: Subject) -> Verdict:
    others = _others(subject)
    if not others:
        return not_applicable("kubenode_sysctls has none that no other check is about")
    return _live(subject, others)


def _settings_boot(subject: Subject) -> Verdict:
    others = _others(subject)
    if not others:
        return not_applicable("kubenode_sysctls has none that no other check is about")
    return _boot(subject, others)


def _pair(
    name: str,
    key: str,
    why: str,
    *,
    only: ProfileName | None = None,
    mirrors: tuple[str, ...] = (),
    sources: Iterable[str] = (),
) -> tuple[Check, Check]:
    applies = frozenset({only}) if only else frozenset[ProfileName]()
    remedy = (
        f"kubenode.node.prepare with {key} in kubenode_sysctls, or "
        f'kernel.sysctls(values={{"{key}": 1}})'
    )
    return (
        Check(
            id=f"sysctl.{name}.live",
            title=f"{key} is 1",
            severity="fail",
            expected=f"{key} = 1",
            why=why,
            judge=lambda subject: _live(subject, {key: "1"}),
            remedy=remedy,
            operation="kernel.sysctls",
            profiles=applies,
            mirrors=mirrors,
            sources=tuple(sources),
        ),
        Check(
            id=f"sysctl.{name}.boot",
            title=f"{key} is 1 after the next boot",
            severity="fail",
            expected=f"{key} = 1 after the next boot",
            why=f"{why} systemd-sysctl sets what the last assignment in all of sysctl.d says: a "
            "file that sorts later, or one of the same name in an earlier directory, undoes a "
            "right one. The node works until it is rebooted.",
            judge=lambda subject: _boot(subject, {key: "1"}),
            remedy=f"{remedy}; where another file wins, remove its line or set "
            "kubenode_sysctls_override=true (override=True)",
            operation="kernel.sysctls",
            profiles=applies,
            sources=(
                *sources,
                "https://www.freedesktop.org/software/systemd/man/latest/sysctl.d.html",
            ),
        ),
    )


_RUNTIMES = "https://kubernetes.io/docs/setup/production-environment/container-runtimes/"

CHECKS = (
    *_pair(
        "ip-forward",
        "net.ipv4.ip_forward",
        "Without it the node drops packets between pods and other hosts.",
        mirrors=("kubeadm: FileContent--proc-sys-net-ipv4-ip_forward",),
        sources=(
            f"{_RUNTIMES}#prerequisite-ipv4-forwarding-optional",
            "https://github.com/moby/moby/issues/47966",
        ),
    ),
    *_pair(
        "bridge-nf-call-iptables",
        "net.bridge.bridge-nf-call-iptables",
        "With a bridge CNI, packets between pods of one node cross a bridge: they meet "
        "kube-proxy's rules only with this. Needed for bridge CNIs, not by Kubernetes itself.",
        only="bridge-cni",
        mirrors=("kubeadm (until 2024): FileContent--proc-sys-net-bridge-bridge-nf-call-iptables",),
        sources=("https://github.com/kubernetes/website/pull/45464",),
    ),
    *_pair(
        "bridge-nf-call-ip6tables",
        "net.bridge.bridge-nf-call-ip6tables",
        "As bridge-nf-call-iptables, for IPv6.",
        only="bridge-cni",
        sources=("https://github.com/kubernetes/website/pull/45464",),
    ),
    *_pair(
        "ipv6-forwarding",
        "net.ipv6.conf.default.forwarding",
        "Interfaces that are made later, which pods' are, forward IPv6 only with this.",
        only="ipv6",
        mirrors=("kubeadm: FileContent--proc-sys-net-ipv6-conf-default-forwarding",),
    ),
    Check(
        id="sysctl.settings.live",
        title="The other sysctls of kubenode_sysctls are set",
        severity="fail",
        expected="every value of kubenode_sysctls",
        why="Somebody decided that these nodes need them.",
        judge=_settings_live,
        remedy="kubenode.node.prepare, whose kernel.sysctls sets all of kubenode_sysctls",
        operation="kernel.sysctls",
    ),
    Check(
        id="sysctl.settings.boot",
        title="The other sysctls of kubenode_sysctls are set after the next boot",
        severity="fail",
        expected="every value of kubenode_sysctls after the next boot",
        why="Somebody decided that these nodes need them, also after a reboot.",
        judge=_settings_boot,
        remedy="kubenode.node.prepare, whose kernel.sysctls sets all of "
        "kubenode_sysctls; where another file "
        "wins, remove its line or set kubenode_sysctls_override=true",
        operation="kernel.sysctls",
    ),
)
