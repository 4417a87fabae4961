"""Whether a node may get a release of Kubernetes; pure.

Sources: the Kubernetes pages "Version Skew Policy" (kubelet is never newer than the API server, and
at most three minor releases older) and "Upgrading kubeadm clusters" (no minor release is skipped);
kubelet's ``pkg/kubelet/apis/config/validation`` and kubernetes#117119 for fields of its files.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packaging.version import Version

from kubenode.kubelet import flags, releases
from kubenode.kubelet.command_line import Word

KUBELET = "kubelet"


@dataclass(frozen=True)
class Node:
    """What a host is before a change.

    + kubelet: the release that is installed; None is none
    + is_joined: whether it is a node of a cluster; None is not known
    + api_servers: release of each API server that is known, and where that is from
    + containerd: the release of containerd where kubelet uses that; None is not known
    + words: what kubelet would be started with
    + running_flags: names of flags that kubelet runs with
    + settings: those of its files; None where they cannot be understood
    """

    kubelet: Version | None = None
    is_joined: bool | None = False
    api_servers: Sequence[tuple[Version, str]] = ()
    containerd: Version | None = None
    words: Sequence[Word] = ()
    running_flags: Collection[str] = ()
    settings: Mapping[str, Any] | None = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """Whether the change may be made.

    + refusals: why not, a sentence each
    + warnings: what the user is told, a sentence each
    """

    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def judge(node: Node, minor: tuple[int, int], packages: Collection[str]) -> Judgement:
    """Whether a node may get a minor release of some of Kubernetes' packages.

    + node: what it is
    + minor: the release
    + packages: those that get it: only kubelet has to do with skew and flags

    A node that has not joined a cluster has nothing that a release could lose: it may get any.

    **Example:**

    .. code:: python

        judge(Node(kubelet=Version("1.34.2"), is_joined=True), (1, 37), ["kubelet"]).refusals
    """
    refusals: list[str] = []
    warnings: list[str] = []
    if KUBELET not in packages:
        return Judgement()
    if node.is_joined is not False:
        refusals += _steps(node, minor)
        refusals += _skew(node, minor)
    if _is_change(node, minor):
        certain: list[str] = []
        doubtful: list[str] = []
        for each in flags.wrong(node.words, minor, node.running_flags):
            (certain if each.is_certain else doubtful).append(str(each))
        refusals += certain
        warnings += doubtful
        found, noted = _fields(node, minor)
        refusals += found
        warnings += noted
    return Judgement(tuple(refusals), (*warnings, *_runtime(node, minor)))


def _name(minor: tuple[int, int]) -> str:
    return f"{minor[0]}.{minor[1]}"


def _is_change(node: Node, minor: tuple[int, int]) -> bool:
    return node.kubelet is None or (node.kubelet.major, node.kubelet.minor) != minor


def _steps(node: Node, minor: tuple[int, int]) -> list[str]:
    if node.kubelet is None:
        return []
    own = (node.kubelet.major, node.kubelet.minor)
    if minor < own:
        return [
            f"kubelet {node.kubelet} is installed, and a node is not taken back to {_name(minor)}: "
            "what the newer one has written may be lost on the older one; drain the node, remove "
            "it from the cluster, reset it and join it again"
        ]
    if minor[0] != own[0] or minor[1] > own[1] + 1:
        return [
            f"kubelet {node.kubelet} is installed, and no minor release is skipped: "
            f"{_name((own[0], own[1] + 1))} comes before {_name(minor)}"
        ]
    return []


def _skew(node: Node, minor: tuple[int, int]) -> list[str]:
    if not node.api_servers:
        return []
    oldest, where = min(node.api_servers)
    server = (oldest.major, oldest.minor)
    if minor > server:
        return [
            f"the API server is {oldest} ({where}), and kubelet is never newer: upgrade the "
            f'control plane first (kubernetes.installed(version="{_name(minor)}", '
            'packages=["kubeadm"]), or kubenode_kubernetes_packages, and then kubeadm upgrade)'
        ]
    newest, where = max(node.api_servers)
    if not releases.supports_kubelet((newest.major, newest.minor), minor):
        return [
            f"the API server is {newest} ({where}), and kubelet {_name(minor)} is more than "
            f"{releases.KUBELET_SKEW} minor releases older"
        ]
    return []


def _fields(node: Node, minor: tuple[int, int]) -> tuple[list[str], list[str]]:
    """What is wrong with fields of its files for a release, and what they mean from it on."""
    if node.settings is None:
        return [], ["kubelet's configuration cannot be understood, so nobody looked for old fields"]
    refusals, warnings = [], []
    if node.settings.get("runOnce") is True:
        refusals.append(
            "kubelet's configuration has runOnce: true, with which it does not start: remove it"
        )
    if node.settings.get("eventRecordQPS") == 0 and minor >= (1, 37):
        warnings.append(
            "eventRecordQPS: 0 of kubelet's configuration is no limit from 1.37 on "
            "(kubernetes#117119): state the number that is meant"
        )
    return refusals, warnings


def _runtime(node: Node, minor: tuple[int, int]) -> list[str]:
    row = releases.release_of(minor)
    if row is None or node.containerd is None:
        return []
    if releases.supports_containerd(row, node.containerd):
        return []
    return [
        f"containerd {node.containerd} is installed, and Kubernetes {_name(minor)} is tested with "
        f"{releases.containerd_wanted(row)}: kubenode_kubernetes_version asks prepare for one"
    ]
