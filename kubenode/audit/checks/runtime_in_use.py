"""Which runtime a host's pods are for, and why containerd's checks may have nothing to say."""

from __future__ import annotations

from collections.abc import Callable

from packaging.version import Version

from kubenode.audit.checks.check import PartMissing, Subject, Verdict, not_applicable
from kubenode.facts.containerd import ContainerdShape
from kubenode.runtimes import other_runtimes
from kubenode.runtimes.containerd import releases

CRI_NAMES = frozenset(
    {
        "cri",
        "io.containerd.grpc.v1.cri",
        "io.containerd.cri.v1.runtime",
        "io.containerd.cri.v1.images",
    }
)
"""What ``disabled_plugins`` may call CRI, in one release or another."""


def cri_disabled(containerd: ContainerdShape) -> list[str]:
    """The entries of ``disabled_plugins`` that turn CRI off."""
    return sorted(CRI_NAMES & set(containerd["disabled_plugins"]))


def other_runtime(subject: Subject) -> str | None:
    """The runtime that kubelet uses instead of containerd, None when it is containerd.

    Where kubelet is told none, it is containerd if that is installed, else what is in use.
    """
    try:
        endpoint = subject.kubelet["runtime_endpoint"]
    except PartMissing:
        endpoint = None
    if endpoint is not None:
        return other_runtimes.behind(endpoint)
    if subject.containerd["installed"]["binary"] is not None:
        return None
    try:
        others = other_runtimes.in_use(subject.platform["runtimes"])
    except PartMissing:
        return None
    return others[0].name if others else None


def of_containerd(
    judge: Callable[[Subject, ContainerdShape], Verdict],
) -> Callable[[Subject], Verdict]:
    """A judge that is asked only about hosts with containerd as their runtime."""

    def judge_containerd(subject: Subject) -> Verdict:
        if other := other_runtime(subject):
            return not_applicable(f"the runtime is {other}")
        if subject.containerd["installed"]["binary"] is None:
            return not_applicable("containerd is not installed, see containerd.installed")
        return judge(subject, subject.containerd)

    return judge_containerd


def containerd_version(containerd: ContainerdShape) -> Version | None:
    """containerd's version, None when the program does not say."""
    version = containerd["installed"]["version"]
    return Version(version) if version else None


def config_version_trouble(containerd: ContainerdShape) -> str | None:
    """Why the main file's configuration version does not suit the release, None when it does."""
    config, version = containerd["config"], containerd_version(containerd)
    stated = config["version"]
    if version is None or stated is None:
        return None
    release = releases.release_of(version)
    highest = config["highest_version"] or release.config_version
    if stated > highest and not releases.is_newer_than_known(version):
        what = (
            "refuses it"
            if releases.refuses_higher_version(version)
            else "ignores its settings without a word"
        )
        return f"version {stated}; containerd {version} takes at most {highest} and {what}"
    if stated == 1 and not release.migrates_version_1_cri:
        return f"version 1; containerd {version} ignores its CRI settings without a word"
    return None


def drop_in_trouble(containerd: ContainerdShape) -> str | None:
    """Why an imported file's configuration version does not suit, None when all do."""
    config, version = containerd["config"], containerd_version(containerd)
    if version is None or config["version"] is None:
        return None
    for drop_in in containerd["imports"]:
        stated = drop_in["version"]
        # what a release newer than the table takes is not known
        if stated is None or (
            releases.is_newer_than_known(version)
            and stated > releases.highest_config_version(version)
        ):
            continue
        if trouble := releases.drop_in_trouble(
            config["path"], config["version"], drop_in["path"], stated, version
        ):
            return f"{drop_in['path']} is {trouble}"
    return None


def config_trouble(containerd: ContainerdShape) -> str | None:
    """Why containerd's files cannot be used, versions apart; None when they can."""
    if error := containerd["config"]["error"]:
        return error
    for drop_in in containerd["imports"]:
        if drop_in["error"]:
            return drop_in["error"]
    if not containerd["effective"]:
        return "containerd does not say what it makes of its files"
    return None


def config_finding(containerd: ContainerdShape) -> str | None:
    """The check whose finding about containerd's files says why the rest cannot be told.

    None where there is none, and of a host without containerd: its files are no trouble there.
    """
    if containerd["installed"]["binary"] is None:
        return None
    for check, trouble in (
        ("containerd.config-version", config_version_trouble),
        ("containerd.drop-in-version", drop_in_trouble),
        ("containerd.config-readable", config_trouble),
    ):
        if trouble(containerd):
            return check
    return None
