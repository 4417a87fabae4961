"""End a change that was interrupted, whichever operation of kubenode's had begun it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pyinfra import host
from pyinfra.api import StringCommand

from kubenode.run.telling import explain
from kubenode.runtimes import program_change


def ended(change: str | None) -> Generator[StringCommand, Any, bool]:
    """The command that ends it, after that was told; whether there is one.

    + change: what a fact says of it, such as ``containerd 1.7.24 -> 2.1.9``; None for none

    The host is read again afterwards: what a fact has said is of before.
    """
    if not change:
        return False
    explain(
        host,
        f"a change was interrupted ({change}): it is kept where it came to its end and works, else "
        "what was before comes back; then the host is read again",
    )
    yield program_change.settle()
    return True
