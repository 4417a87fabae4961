"""Every case of ``tests/operations/MODULE.OPERATION/*.json``: facts, arguments, and the commands.

``"is_executing": true`` in a case runs the operation as pyinfra does once it no longer prepares.
The shell functions that commands share are cut short, and commands are as they read before they
become a line for any login shell. :mod:`tests.operation_case` says what ``changes`` are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pyinfra_testing import operations  # type: ignore[import-untyped]
from pyinfra_testing.operations import make_operation_tests  # type: ignore[import-untyped]

from kubenode.files import host_lock, whole_file
from kubenode.kubelet import runtime_switch
from kubenode.operations import swap
from kubenode.packages import package_change, package_locks
from kubenode.runtimes import config_swap, program_change
from kubenode.runtimes.containerd import proof
from kubenode.runtimes.crio import proof as crio_proof
from kubenode.runtimes.docker import proof as docker_proof
from kubenode.wire import shell_command
from tests.operation_case import whole

OPERATIONS = Path(__file__).parent / "operations"


# what a login shell reads as itself between single quotes, whichever it is
_PASSED_ON = re.compile(r"[A-Za-z0-9 +/=_%$(){}|;:*#\"><&-]+")


@contextmanager
def _stage(cases: Any, data: dict[str, Any]) -> Iterator[None]:
    cases.state.is_executing = data.get("is_executing", False)
    # pyinfra's own state has them
    cases.state.failed_hosts = set()
    cases.state.add_callback_handler = lambda handler: None
    with (
        patch.multiple(
            host_lock,
            HEAD="# host_lock.HEAD",
            FUNCTIONS="# host_lock.FUNCTIONS",
            owner=lambda: "kubenode run by tester@controller",
        ),
        patch.object(whole_file, "FUNCTIONS", "# whole_file.FUNCTIONS"),
        patch.multiple(
            config_swap,
            CRI_FUNCTIONS="# config_swap.CRI_FUNCTIONS",
            SWAP_FUNCTIONS="# config_swap.SWAP_FUNCTIONS",
        ),
        patch.multiple(proof, FUNCTIONS="# proof.FUNCTIONS", _STATES_ALL="# proof._STATES_ALL"),
        patch.multiple(
            crio_proof,
            FUNCTIONS="# crio.proof.FUNCTIONS",
            _REGISTRIES="# crio.proof._REGISTRIES",
            _LINK="# crio.proof._LINK",
        ),
        patch.object(docker_proof, "FUNCTIONS", "# docker.proof.FUNCTIONS"),
        patch.object(swap, "FUNCTIONS", "# swap.FUNCTIONS"),
        patch.multiple(
            program_change,
            _FUNCTIONS="# program_change._FUNCTIONS",
            _BACK="# program_change._BACK",
            _OF_PACKAGES="# program_change._OF_PACKAGES",
        ),
        patch.object(
            runtime_switch, "_FUNCTIONS", "# runtime_switch @NEW@ @DISABLED@ @STOP_SECONDS@"
        ),
        patch.multiple(package_change, _APT="# package_change._APT", _RPM="# package_change._RPM"),
        patch.multiple(
            package_locks,
            HOLDER="# package_locks.HOLDER",
            PATIENTLY="# package_locks.PATIENTLY",
        ),
    ):
        yield


def _in_stage(cases: Any) -> Any:
    run = cases._test

    def run_in_stage(self: Any, name: str, data: dict[str, Any]) -> None:
        with (
            _stage(self, data),
            patch.object(shell_command, "portable", lambda script: script),
        ):
            run(self, name, whole(data))

    cases._test = run_in_stage
    return cases


def _cases(folder: Path) -> Any:
    return make_operation_tests("kubenode.operations", folder.name, folder)


FOLDERS = sorted(OPERATIONS.iterdir())

for folder in FOLDERS:
    name = "".join(part.capitalize() for part in folder.name.replace(".", "_").split("_"))
    globals()[f"Test{name}"] = _in_stage(_cases(folder))


def test_each_command_is_a_line_that_every_login_shell_passes_on() -> None:
    commands: list[Any] = []
    with patch.object(operations, "assert_commands", lambda found, wanted: commands.extend(found)):
        for folder in FOLDERS:
            cases = _cases(folder)
            cases.setUpClass()
            for path in folder.glob("*.json"):
                data = whole(json.loads(path.read_text()))
                with _stage(cases, data):
                    cases()._test(path.stem, data)
    # what runs nothing on the host is a list, what reads standard input has the command by name
    lines = [
        command["command"] if isinstance(command, dict) else command
        for command in commands
        if not isinstance(command, list)
    ]
    assert len(lines) > 50
    assert any(isinstance(command, dict) for command in commands)
    assert [line for line in lines if not _PASSED_ON.fullmatch(line)] == []
