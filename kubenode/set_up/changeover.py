"""How a node changes over from another runtime, as prepare sees to it."""

from __future__ import annotations

from kubenode.facts.runtime_switch import RuntimeSwitch
from kubenode.operations import runtime
from kubenode.set_up.set_up import Read
from kubenode.settings import NodeSettings

READ: list[Read] = [(RuntimeSwitch, {})]
"""What the operation reads first."""


def change_over(node: NodeSettings) -> None:
    """Have kubelet use the runtime that was set up, behind its own operations."""
    runtime.replaced(
        name="No other runtime is in use",
        by=node.runtime,
        cgroup_driver=node.cgroup_driver,
    )
