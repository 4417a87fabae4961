"""Which breaks of a node can be tried together: those that know nothing of each other.

A break costs three audits and a deploy, and many breaks as much as one. Together they say more of
the audit (each finding stands beside the others), and less of a remedy: what fixes one could have
fixed another. So ``make soak`` tries each alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tests.end_to_end.breaks import Break

ALONE = {
    "a /usr that is mounted read-only": "the others write there",
    "no umount": "the others use it",
    "no package manager that is known": "deploy.py needs one",
    "containerd stopped": "much of a runtime that does not answer is unknown",
    "containerd removed": "its files are gone",
    "dpkg was interrupted": "deploy.py begins with that",
    "containerd too old for the release": "nothing fixes it",
    "containerd's directory on an overlay": "a containerd that is started there keeps it busy",
    "images on another disk, which is nearly full": "containerd has another root meanwhile",
    "etcd's data of an earlier cluster": "where something listens at etcd's port it is of this one",
    "a kernel that Kubernetes does not support": "beside a kubelet it has a finding more",
}
"""Breaks that are tried by themselves, with the reason."""

_OWN_SUBJECT = (
    "runtime.held",
    "runtime.enabled",
    "runtime.left-alone",
    "runtime.config-merged",
    "crictl.config",
)
_OF_THE_RUNTIME = ("containerd", "runtime", "cgroup-driver", "kubernetes")
_ONE_SUBJECT = ("sysctl", "swap", "module", "kubelet")
_READ_ALONE = {"/dev/null", "/dev/zero", "/bin/sh", "/bin/true", "/bin/false", "/bin/sleep"}
_PATH = re.compile(r"(?<![\w$.*)}/-])/[\w@.+-]+(?:/[\w@.+-]+)*")


def groups(breaks: Iterable[Break]) -> list[tuple[Break, ...]]:
    """The breaks, each in one group: the smallest that has room for it, or else a new one."""
    made: list[list[Break]] = []
    for broken in breaks:
        room = (group for group in made if not any(_meet(broken, other) for other in group))
        group = min(room, key=len, default=None)
        if group is None:
            made.append(group := [])
        group.append(broken)
    return [tuple(group) for group in made]


def _meet(one: Break, other: Break) -> bool:
    """Whether one break could change what another one gives."""
    return (
        one.name in ALONE
        or other.name in ALONE
        or one.options != other.options
        or one.settings != other.settings
        or subject(one.finding) == subject(other.finding)
        or bool(one.data.keys() & other.data.keys())
        or any(_is_within(a, b) or _is_within(b, a) for a in paths(one) for b in paths(other))
    )


def subject(finding: str) -> str:
    """What a check is about: findings of one subject may follow from each other."""
    topic = finding.partition(".")[0]
    if finding in _OWN_SUBJECT:
        return finding
    if topic in _OF_THE_RUNTIME:
        return "runtime"
    return topic if topic in _ONE_SUBJECT else finding


def paths(broken: Break) -> set[str]:
    """The files that a break, its remedy and what takes it back name."""
    scripts: Sequence[str] = (broken.script, broken.fix, broken.undo)
    return set(_PATH.findall("\n".join(scripts))) - _READ_ALONE


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
