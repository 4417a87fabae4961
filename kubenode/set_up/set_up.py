"""What :func:`kubenode.node.prepare` does of a runtime, and what is read for it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from pyinfra.api import OperationValueError

from kubenode import settings
from kubenode.runtimes.runtime import CONTAINERD, CRIO, DOCKER, MCR
from kubenode.wire.probe_fact import ProbeFact

Read = tuple[type[ProbeFact[Any]], dict[str, Any]]
"""A fact, with its arguments."""

_MODULES = {
    CONTAINERD.name: "containerd",
    CRIO.name: "crio",
    DOCKER.name: "docker",
    MCR.name: "docker",
}


class SetUp(NamedTuple):
    """How a runtime is set up."""

    installed_by: Callable[[settings.NodeSettings], list[Read]]
    """What the operation that installs it reads first."""
    install: Callable[[settings.NodeSettings], None]
    configured_by: Callable[[settings.NodeSettings], list[Read]]
    """What the operations that configure and start it read first, in their order."""
    configure: Callable[[settings.NodeSettings], None]


def of(name: str) -> SetUp:
    """How a runtime is set up; OperationValueError for one that kubenode does not set up.

    + name: in the runtime's row, see :mod:`kubenode.runtimes.runtime`

    Only that runtime's module is imported: the others' operations are half of all modules.
    """
    if name not in _MODULES:
        raise OperationValueError(
            f"kubenode_runtime {name!r}: kubenode sets up {', '.join(_MODULES)}"
        )
    module = importlib.import_module(f"kubenode.set_up.{_MODULES[name]}")
    row: SetUp = module.SET_UP
    return row
