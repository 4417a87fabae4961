"""Swap: off now, and off after the next boot."""

from __future__ import annotations

from kubenode.audit.checks.check import Check, Evidence, Subject, Verdict, met, unknown, violated


def _allowed(subject: Subject) -> str | None:
    """How kubelet is told to live with swap, None when it refuses to start with it."""
    kubelet = subject.kubelet
    if kubelet["fail_swap_on"] is not False:
        return None
    behavior = kubelet["swap_behavior"] or "NoSwap"
    return f"kubelet's failSwapOn is false, swapBehavior {behavior}"


def _live(subject: Subject) -> Verdict:
    devices = subject.swap["live"]
    if devices is None:
        return unknown("/proc/swaps cannot be read")
    if not devices:
        return met("no swap in use")
    found = ", ".join(
        f"{device['device']} ({device['size_kib'] // 1024} MiB)" for device in devices
    )
    if allowed := _allowed(subject):
        return met(f"{found}; {allowed}")
    return violated(f"in use: {found}", Evidence(found, "/proc/swaps"))


def _boot(subject: Subject) -> Verdict:
    sources, unreadable = subject.swap["boot"], subject.swap["unreadable"]
    if sources is None:
        cannot = [f"cannot read {', '.join(unreadable)}"] if unreadable else []
        return unknown("; ".join([*cannot, *subject.swap["undecided"]]))
    if not sources:
        return met("nothing turns swap on at boot")
    evidence = [Evidence(source["what"], source["file"], source["line"]) for source in sources]
    found = ", ".join(
        source["file"] if source["line"] is None else f"{source['file']}:{source['line']}"
        for source in sources
    )
    if allowed := _allowed(subject):
        return met(f"{found} turns swap on; {allowed}", *evidence)
    return violated(f"turned on at boot by {found}", *evidence)


_SOURCES = (
    "https://kubernetes.io/docs/concepts/cluster-administration/swap-memory-management/",
    "https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/",
)

CHECKS = (
    Check(
        id="swap.live",
        title="No swap is in use",
        severity="fail",
        expected="no swap, or a kubelet with failSwapOn: false",
        why="kubelet does not start on a host with swap unless it is told to (failSwapOn: false). "
        "kubeadm only warns, since kubelet may be told so; where it is not, kubelet ends at once.",
        judge=_live,
        remedy="kubenode.node.prepare, or swap.off(); or set failSwapOn: false and "
        "memorySwap.swapBehavior for kubelet (kubelet.configured)",
        operation="swap.off",
        mirrors=("kubeadm: Swap (a warning there)",),
        sources=_SOURCES,
    ),
    Check(
        id="swap.boot",
        title="No swap comes back at boot",
        severity="fail",
        expected="no swap in fstab, units, services or zram, or a kubelet with failSwapOn: false",
        why="`swapoff -a` lasts until the next boot, when fstab, a .swap unit, zram, or a service "
        "such as dphys-swapfile or the Azure agent turns swap on again and kubelet does not start. "
        "kubeadm's check looks at the running system only. Where fstab has no swap, "
        "systemd-gpt-auto takes a partition of the type swap.",
        judge=_boot,
        remedy="kubenode.node.prepare, or swap.off(); by hand: remove the fstab line, "
        "`systemctl mask` the unit or service, set ResourceDisk.EnableSwap=n, remove "
        "zram-generator's configuration or the script's line: the evidence names it",
        operation="swap.off",
        sources=(
            *_SOURCES,
            "https://www.freedesktop.org/software/systemd/man/latest/systemd.swap.html",
            "https://www.freedesktop.org/software/systemd/man/latest/systemd-gpt-auto-generator.html",
        ),
    ),
)
