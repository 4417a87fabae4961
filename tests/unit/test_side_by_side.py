"""The tests on targets run side by side, and none that fails is lost among those that pass."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.targets import side_by_side
from tests.targets.side_by_side import Job


def test_the_worst_exit_code_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [
        Job("passes", ("--version",)),
        Job("fails", ("--no-such-option",)),
        Job("passes too", ("--version",)),
    ]
    said: list[str] = []
    monkeypatch.setattr(side_by_side, "_jobs", lambda: jobs)
    assert side_by_side.run(said.append) == pytest.ExitCode.USAGE_ERROR
    assert "unrecognized arguments: --no-such-option" in "\n".join(said)
    assert sum(line.startswith("== passes") for line in said) == 2


def test_one_that_is_killed_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    killed = subprocess.CompletedProcess([], -signal.SIGKILL, "half of the out", None)
    monkeypatch.setattr(side_by_side, "_pytest", lambda *arguments: killed)
    monkeypatch.setattr(side_by_side, "_jobs", lambda: [Job("is killed", ())])
    assert side_by_side.run(print) == signal.SIGKILL


def test_every_file_with_tests_on_targets_is_a_job() -> None:
    names = [job.name for job in side_by_side._jobs()]
    assert names[0] == "units"
    assert "tests/end_to_end/test_prepare.py" in names
    assert "tests/soak/test_kill_loop.py" in names
    assert len(names) == len(set(names))
    assert set(side_by_side.LONGEST) <= set(names)


def test_no_file_of_another_folder_has_tests_on_targets() -> None:
    """`docker_client` is what makes a test one on targets: whoever names a fixture of it."""
    asks = re.compile(r"\b(docker_client|shared_target|targets: Fleet|target: Target)\b")
    folders = tuple(ROOT / folder for folder in side_by_side._FOLDERS)
    others = {
        path.relative_to(ROOT)
        for path in (ROOT / "tests").rglob("test_*.py")
        if not path.is_relative_to(folders[0]) and not path.is_relative_to(folders[1])
        if asks.search(path.read_text()) or "mark.targets" in path.read_text()
    }
    assert others == {Path("tests/unit/test_side_by_side.py")}
