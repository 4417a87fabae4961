"""A dry run that foresees a failure has exit code 1, and the run itself decides by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.targets.pyinfra_cli import Result, run

DEPLOY = """
from pathlib import Path

from pyinfra import host
from pyinfra.api import operation
from pyinfra.operations import python
from kubenode.run.telling import refuse

WAY = Path({way!r})


@operation()
def strict():
    if not WAY.exists():
        yield refuse(host, "the way is not clear")
        return
    host.noop("the way is clear")


if {clears}:
    python.call(function=lambda: WAY.touch())
if host.name == "@local":
    strict(_ignore_errors={ignores})
"""


def deploy(
    folder: Path, *options: str, clears: bool = False, ignores: bool = False, inventory: str = ""
) -> Result:
    """A run of a deploy with an operation that refuses this machine until a file is there."""
    file = folder / "deploy.py"
    file.write_text(DEPLOY.format(way=str(folder / "way"), clears=clears, ignores=ignores))
    return run(*options, inventory or "@local", file, cwd=folder)


def test_a_dry_run_that_would_fail_fails(tmp_path: Path) -> None:
    result = deploy(tmp_path, "--dry")
    assert "would fail: the way is not clear" in result.output
    assert result.returncode == 1, result.output


def test_a_dry_run_that_would_not_fail_does_not(tmp_path: Path) -> None:
    (tmp_path / "way").touch()
    result = deploy(tmp_path, "--dry")
    assert "would fail" not in result.output
    assert result.returncode == 0, result.output


def test_nor_where_the_failure_is_ignored(tmp_path: Path) -> None:
    assert deploy(tmp_path, "--dry", ignores=True).returncode == 0


@pytest.mark.parametrize("options", [[], ["--serial"], ["--no-wait"]])
def test_an_earlier_operation_may_clear_the_way(tmp_path: Path, options: list[str]) -> None:
    # what a dry run cannot know
    assert deploy(tmp_path, "--dry", clears=True).returncode == 1
    # somebody presses enter at pyinfra's question
    result = subprocess.run(
        [sys.executable, "-m", "pyinfra", *options, "@local", "deploy.py"],
        cwd=tmp_path,
        input="\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "would fail: the way is not clear" in result.stderr
    assert "Results:" in result.stderr
    assert result.returncode == 0, result.stderr


def test_a_run_that_fails_fails(tmp_path: Path) -> None:
    assert deploy(tmp_path, "-y").returncode == 1


@pytest.mark.parametrize("option", ["--dry", "-y"])
def test_a_host_that_is_not_reached_stays_failed(tmp_path: Path, option: str) -> None:
    (tmp_path / "hosts.py").write_text(
        'hosts = ["@local", ("gone", {"ssh_hostname": "127.0.0.1", "ssh_port": 9})]\n'
    )
    result = deploy(tmp_path, option, clears=True, inventory="hosts.py")
    assert result.returncode == 1, result.output
