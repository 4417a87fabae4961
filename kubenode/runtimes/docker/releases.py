"""Which cri-dockerd fits which Docker Engine and which Kubernetes.

As of 2026-11.
"""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import InvalidVersion, Version


@dataclass(frozen=True)
class _Rule:
    """A range of cri-dockerd's releases that does not fit a range of another program's.

    + before: cri-dockerd's, up to but not including; None: all
    + since: cri-dockerd's, from; None: all
    + engine: Docker Engine's, from and up to but not including; None: whichever
    + kubernetes: from this release on; None: whichever
    + breaks: whether pods do not run; otherwise something else does not work
    + what: what goes wrong
    + source: where that is written
    """

    what: str
    source: str
    before: str | None = None
    since: str | None = None
    engine: tuple[str, str] | None = None
    kubernetes: tuple[int, int] | None = None
    breaks: bool = False


_RULES = (
    _Rule(
        before="0.3.16",
        engine=("29.0", "29.3"),
        breaks=True,
        what="it speaks API 1.43, and Docker Engine 29.0 to 29.2 takes no less than 1.44",
        source="https://github.com/docker/for-win/issues/14997",
    ),
    _Rule(
        since="0.4.3",
        engine=("0", "23"),
        breaks=True,
        what="it needs API 1.42, which Docker Engine has from 23.0 on",
        source="https://github.com/Mirantis/cri-dockerd/blob/v0.4.3/libdocker/client.go",
    ),
    _Rule(
        before="0.3.17",
        kubernetes=(1, 34),
        what="it does not tell kubelet its cgroup driver (RuntimeConfig): kubelet uses its own",
        source="https://github.com/Mirantis/cri-dockerd/issues/425",
    ),
    _Rule(
        kubernetes=(1, 36),
        what="kubectl exec and attach fail with it from Kubernetes 1.36 on, unless the feature "
        "gate ExtendWebSocketsToKubelet is off",
        source="https://github.com/Mirantis/cri-dockerd/issues/569",
    ),
)
SOURCES = tuple(rule.source for rule in _RULES)


@dataclass(frozen=True)
class Misfit:
    """Something that goes wrong.

    + what: what it is
    + breaks: whether pods do not run
    """

    what: str
    breaks: bool


def misfits(
    cri_dockerd: str | None, engine: str | None, kubernetes: tuple[int, int] | None
) -> list[Misfit]:
    """What goes wrong with these releases together, as far as they are known.

    + cri_dockerd, engine: releases, such as ``0.4.3`` and ``29.7.2``; None: not known
    + kubernetes: the release the node is for; None: not known

    **Example:**

    .. code:: python

        misfits("0.3.15", "29.1.0", None)[0].breaks  # True
    """
    own, other = _version(cri_dockerd), _version(engine)
    if own is None:
        return []
    return [
        Misfit(f"cri-dockerd {cri_dockerd}: {rule.what}", rule.breaks)
        for rule in _RULES
        if (rule.before is None or own < Version(rule.before))
        and (rule.since is None or own >= Version(rule.since))
        and (rule.engine is None or _is_in(other, *rule.engine))
        and (rule.kubernetes is None or (kubernetes is not None and kubernetes >= rule.kubernetes))
    ]


def _is_in(version: Version | None, first: str, end: str) -> bool:
    return version is not None and Version(first) <= version < Version(end)


def _version(text: str | None) -> Version | None:
    try:
        return None if text is None else Version(text)
    except InvalidVersion:
        return None
