"""What the operations of one run ask of a host, to find two that undo each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from pyinfra.api import Host, OperationValueError

from kubenode.run import pyinfra_internals

_asked: WeakKeyDictionary[Host, dict[str, dict[str, Any]]] = WeakKeyDictionary()


def by_others(host: Host, operation: str, what: Any) -> list[Any]:
    """What other calls of an operation in this run ask of a host.

    + host: the host
    + operation: its name
    + what: what the call that runs asks for

    pyinfra runs each operation once while it prepares and once while it executes, under one hash:
    that is one call. There are no other calls where the hash is not known, or for an operation
    inside another one. A call with ``_if`` does not count, because it may not run.
    """
    arguments: Mapping[str, object] = getattr(host, "current_op_global_arguments", None) or {}
    if not pyinfra_internals.known("current_op_hash") or arguments.get("_if"):
        return []
    try:
        op_hash = pyinfra_internals.current_op(host)
    except pyinfra_internals.NotAsKnown:
        return []
    calls = _asked.setdefault(host, {}).setdefault(operation, {})
    calls[op_hash] = what
    return [other for call, other in calls.items() if call != op_hash]


def contradiction(host: Host, problem: str) -> str:
    """End the run while pyinfra prepares; while it executes, return why to refuse this host.

    + problem: which two calls undo each other

    Without a look ahead (``pyinfra -y``) the second call comes when the first one has run. An
    exception would then end the run from inside an operation, with a traceback.
    """
    if not pyinfra_internals.is_executing(host):
        raise OperationValueError(problem)
    return problem
