"""The calls of operations in what a check's remedy says, as they are printed."""

from __future__ import annotations

import re

_MODULES = (
    "cni|containerd|crictl|crio|docker|kernel|kubelet|kubernetes|logind|packages|platform|swap"
)
_CALL = re.compile(rf"\b(?:{_MODULES})\.[a-z_]+\([^()]*\)")


def calls_in(remedy: str) -> list[str]:
    """The calls, such as ``swap.off()``.

    + remedy: a check's, or a finding's
    """
    return _CALL.findall(remedy)


def as_deploy(call: str) -> str:
    """A deploy of a call.

    + call: of :func:`calls_in`
    """
    return f"from kubenode.operations import {call.partition('.')[0]}\n{call}\n"
