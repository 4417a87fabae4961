"""Every case of ``tests/operations/MODULE.OPERATION/*.json``: facts, arguments, and the commands.

``"is_executing": true`` in a case runs the operation as pyinfra does once it no longer prepares.
The shell functions that commands share are cut short, and commands are as they read before they
become a line for any login shell.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

from pyinfra_testing.operations import make_operation_tests  # type: ignore[import-untyped]

from kubenode import containerd_swap, host_lock, package_locks, shell_command, whole_file

OPERATIONS = Path(__file__).parent / "operations"


def _with_stage(cases: Any) -> Any:
    run = cases._test

    def run_in_stage(self: Any, name: str, data: dict[str, Any]) -> None:
        self.state.is_executing = data.get("is_executing", False)
        # pyinfra's own state has them
        self.state.failed_hosts = set()
        self.state.add_callback_handler = lambda handler: None
        with (
            patch.multiple(
                host_lock,
                HEAD="# host_lock.HEAD",
                FUNCTIONS="# host_lock.FUNCTIONS",
                owner=lambda: "kubenode run by tester@controller",
            ),
            patch.object(shell_command, "portable", lambda script: script),
            patch.object(whole_file, "FUNCTIONS", "# whole_file.FUNCTIONS"),
            patch.multiple(
                containerd_swap,
                CRI_FUNCTIONS="# containerd_swap.CRI_FUNCTIONS",
                SWAP_FUNCTIONS="# containerd_swap.SWAP_FUNCTIONS",
            ),
            patch.multiple(
                package_locks,
                HOLDER="# package_locks.HOLDER",
                PATIENTLY="# package_locks.PATIENTLY",
            ),
        ):
            run(self, name, data)

    cases._test = run_in_stage
    return cases


for folder in sorted(OPERATIONS.iterdir()):
    name = "".join(part.capitalize() for part in folder.name.replace(".", "_").split("_"))
    globals()[f"Test{name}"] = _with_stage(
        make_operation_tests("kubenode.operations", folder.name, folder)
    )
