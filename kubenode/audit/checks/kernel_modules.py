"""Kernel modules: there now, and there after the next boot."""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
from kubenode.audit.checks.references import Reference, modules_live
from kubenode.facts.kernel import ModuleShape
from kubenode.linux import kernel_modules
from kubenode.profiles import ProfileName
from kubenode.settings import DEFAULTS

_THERE = ("loaded", "builtin")
_NO_KERNEL = (
    "reboot where the running kernel's modules are gone from disk; else use a kernel that has it, "
    "or install the package with its further modules: the evidence says which"
)


def is_there(subject: Subject, name: str) -> bool | None:
    """Whether a module is loaded or built in; None when that is unknown."""
    state = subject.modules["modules"][name]["state"]
    return None if state == "unknown" else state in _THERE


def _live(subject: Subject, names: Iterable[str]) -> Verdict:
    found, evidence, may_be, states = [], [], False, set()
    for name in names:
        module = subject.modules["modules"][name]
        lost = module["state"] not in (*_THERE, "unknown")
        if lost:
            states.add(module["state"])
        may_be = may_be or module["state"] == "unknown"
        after = " at boot only: reboot or load it" if lost and module["boot"] else ""
        found.append(f"{name} {module['state']}{after}")
        if module["state"] not in _THERE and module["reason"]:
            evidence.append(Evidence(f"{name}: {module['reason']}"))
    remedy = _NO_KERNEL if states == {"absent"} else None
    return _verdict(", ".join(found), evidence, bool(states), may_be, remedy)


def _boot(subject: Subject, names: Iterable[str], live: Reference) -> Verdict:
    found, evidence, may_be, bad, absent = [], [], False, False, False
    for name in names:
        module = subject.modules["modules"][name]
        if module["state"] == "absent":
            # whoever asks for it does not get it: that the kernel lacks it is what there is to find
            absent = True
            found.append(f"{name} absent now")
            continue
        if module["boot"]:
            found.append(
                f"{name} {'built in' if module['state'] == 'builtin' else 'loaded at boot'}"
            )
            evidence += _requests(module)
            continue
        bad, may_be = bad or module["boot"] is False, may_be or module["boot"] is None
        if module["boot"] is None:
            found.append(f"{name} unknown")
        elif module["blacklisted_by"]:
            found.append(f"{name} forbidden at boot")
        elif module["state"] == "loaded":
            found.append(f"{name} loaded, lost at reboot")
        else:
            found.append(f"{name} not asked for at boot")
        evidence += [
            Evidence(place["directive"], place["file"], place["line"])
            for place in module["blacklisted_by"]
        ]
        evidence += _requests(module)
    if absent and not bad and not may_be:
        return not_applicable(f"{', '.join(found)}: {live}")
    return _verdict(", ".join(found), evidence, bad, may_be)


def _requests(module: ModuleShape) -> list[Evidence]:
    return [
        Evidence("asks for it at boot", place["file"], place["line"])
        for place in module["requested_by"]
    ]


def _verdict(
    found: str, evidence: list[Evidence], bad: bool, may_be: bool, remedy: str | None = None
) -> Verdict:
    if bad:
        return violated(found, *evidence, remedy=remedy)
    return unknown(found, *evidence) if may_be else met(found, *evidence)


def _own(subject: Subject) -> list[str]:
    """Modules of the settings that no other check is about."""
    covered = {
        kernel_modules.underscored(name)
        for profile in profiles.PROFILES.values()
        for name in profile.modules
    } | {"overlay"}
    named = {
        kernel_modules.underscored(name)
        for profile in subject.aim.profiles
        for name in profiles.PROFILES[profile].modules
    } | {"overlay"}
    return [
        name
        for name in subject.aim.modules
        if kernel_modules.underscored(name) not in covered & named
    ]


def _settings(judge: Callable[[Subject, Iterable[str]], Verdict]) -> Callable[[Subject], Verdict]:
    def judge_settings(subject: Subject) -> Verdict:
        names = _own(subject)
        if not names:
            return not_applicable("kubenode_modules names none that no other check is about")
        return judge(subject, names)

    return judge_settings


def _pair(
    subject: str,
    names: tuple[str, ...],
    why: str,
    *,
    only: ProfileName | None = None,
    sources: tuple[str, ...] = (),
) -> tuple[Check, Check]:
    listed = ", ".join(names)
    add = (
        "kubenode.node.prepare, or kernel.modules(modules=["
        + ", ".join(f'"{name}"' for name in names)
        + "])"
        + ("" if set(names) <= set(DEFAULTS.modules) else f"; name {listed} in kubenode_modules")
    )
    applies = frozenset({only}) if only else frozenset[ProfileName]()
    return (
        Check(
            id=f"module.{subject}.live",
            title=f"{listed}: loaded or built in",
            severity="fail",
            expected=f"{listed} loaded or built into the kernel",
            why=why,
            judge=lambda node: _live(node, names),
            remedy=add,
            operation="kernel.modules",
            profiles=applies,
            sources=sources,
        ),
        Check(
            id=f"module.{subject}.boot",
            title=f"{listed}: there after the next boot",
            severity="fail",
            expected=f"{listed} loaded at boot (modules-load.d) or built into the kernel",
            why=f"{why} A module that somebody loaded by hand, or that only a running service "
            "pulled in, is gone after a reboot; so is one that a blacklist line forbids.",
            judge=lambda node: _boot(node, names, modules_live(subject)),
            remedy=f"{add}; remove the line that forbids it, where the evidence names one",
            operation="kernel.modules",
            profiles=applies,
            sources=(
                *sources,
                "https://www.freedesktop.org/software/systemd/man/latest/modules-load.d.html",
            ),
        ),
    )


def _on_disk(subject: Subject) -> Verdict:
    modules = subject.modules
    on_disk, kernel = modules["kernels_on_disk"], modules["kernel"]
    if kernel is None:
        return unknown("its kernel does not say its release")
    if not on_disk:
        return not_applicable("no kernel modules on disk: all it has is built in")
    if kernel in on_disk:
        return met(f"modules of {kernel} are on disk")
    return violated(
        f"runs {kernel}, on disk are the modules of {', '.join(on_disk)}",
        remedy=f"reboot into {on_disk[-1]}",
    )


def _modprobe(subject: Subject) -> Verdict:
    if not subject.modules["kernels_on_disk"]:
        return not_applicable("no kernel modules on disk: all it has is built in")
    path = subject.machine["programs"].get("modprobe")
    return met(path) if path else violated("there is no modprobe")


_RUNTIMES = "https://kubernetes.io/docs/setup/production-environment/container-runtimes/"

CHECKS = (
    *_pair(
        "overlay",
        ("overlay",),
        "containerd's default snapshotter mounts images with the overlay file system.",
        sources=(_RUNTIMES,),
    ),
    *_pair(
        "br-netfilter",
        ("br_netfilter",),
        "With a bridge CNI, packets between pods of a node pass iptables only with br_netfilter: "
        "without it services do not answer to pods beside their endpoints.",
        only="bridge-cni",
        sources=(_RUNTIMES, "https://github.com/kubernetes-sigs/kubespray/issues/1460"),
    ),
    *_pair(
        "ipvs",
        profiles.PROFILES["ipvs"].modules,
        "kube-proxy in IPVS mode does not start without them.",
        only="ipvs",
        sources=("https://kubernetes.io/docs/reference/networking/virtual-ips/#proxy-mode-ipvs",),
    ),
    *_pair(
        "nf-tables",
        profiles.PROFILES["nftables"].modules,
        "kube-proxy in nftables mode needs nf_tables, of kernel 5.13 or later.",
        only="nftables",
        sources=(
            "https://kubernetes.io/docs/reference/networking/virtual-ips/#proxy-mode-nftables",
        ),
    ),
    Check(
        id="module.settings.live",
        title="The other modules of kubenode_modules are loaded or built in",
        severity="fail",
        expected="every module of kubenode_modules loaded or built in",
        why="Somebody decided that these nodes need them.",
        judge=_settings(_live),
        remedy="kubenode.node.prepare, whose kernel.modules loads all of kubenode_modules",
        operation="kernel.modules",
    ),
    Check(
        id="module.settings.boot",
        title="The other modules of kubenode_modules are there after the next boot",
        severity="fail",
        expected="every module of kubenode_modules loaded at boot or built in",
        why="Somebody decided that these nodes need them, also after a reboot.",
        judge=_settings(lambda node, names: _boot(node, names, modules_live("settings"))),
        remedy="kubenode.node.prepare, whose kernel.modules loads all of kubenode_modules",
        operation="kernel.modules",
    ),
    Check(
        id="module.kernel-on-disk",
        title="The running kernel's modules are on disk",
        severity="warn",
        expected="a directory of the running kernel in /lib/modules",
        why="After a kernel upgrade that removed the old one, the running kernel can load no "
        "module any more: what is not loaded yet fails until the reboot.",
        judge=_on_disk,
        remedy="reboot",
    ),
    Check(
        id="module.modprobe",
        title="Modules can be loaded by name",
        severity="warn",
        expected="modprobe, where the kernel has modules",
        why="kube-proxy, CNI plugins and containerd's own unit load what they need with modprobe, "
        "and so does kernel.modules.",
        judge=_modprobe,
        remedy="install kmod",
        mirrors=("k0s: modprobe in PATH",),
    ),
)
