"""A run by a fork is what a run in an interpreter of its own is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.soak import loops
from tests.targets import forked, pyinfra_cli

HOST = 'hosts = [("@local", {})]\n'
PRINTS = "import os, sys\nfrom pyinfra.operations import server\n"
DEPLOY = (
    f"{PRINTS}from kubenode.operations import kernel\n"
    "print(sys.argv[1:], os.getcwd(), os.environ['GIVEN'], sys.stdin.read(), os.isatty(1))\n"
    "server.shell(name='hosts \\x1b]0;say', commands=['echo $GIVEN; exit 3'])\n"
)
COMMANDS = {
    "a mistake": ("kubenode", "audit", "--for", "latest", "hosts.py"),
    "what needs no host": ("kubenode", "checks"),
    "a deploy that fails": ("pyinfra", "-y", "-v", "hosts.py", "deploy.py"),
    "no such file": ("pyinfra", "-y", "hosts.py", "none.py"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hosts.py").write_text(HOST)
    (tmp_path / "deploy.py").write_text(DEPLOY)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_it_says_and_returns_the_same(
    folder: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    program, *arguments = command
    runs = []
    for is_soak in (False, True):
        monkeypatch.setattr(loops, "is_soak", partial(bool, is_soak))
        given = {"GIVEN": "of this run"}
        runs.append(pyinfra_cli.started(program, arguments, folder, given, 60))
    by_a_fork, by_itself = runs
    assert (by_a_fork.returncode, by_a_fork.stdout) == (by_itself.returncode, by_itself.stdout)
    assert by_a_fork.stderr == by_itself.stderr
    assert by_a_fork.output


def test_runs_at_once_do_not_mix(folder: Path) -> None:
    def said(number: int) -> str:
        variables = {**os.environ, "GIVEN": f"number {number}"}
        arguments = ["-y", "hosts.py", "deploy.py"]
        return forked.run("pyinfra", arguments, folder, variables, 60)[1]

    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(said, range(4)))
    for number, output in enumerate(outputs):
        assert f"number {number}" in output
        assert output.count("number") == 1


def test_one_that_does_not_end_is_ended(folder: Path) -> None:
    (folder / "deploy.py").write_text(
        "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    with pytest.raises(subprocess.TimeoutExpired):
        forked.run("pyinfra", ["-y", "hosts.py", "deploy.py"], folder, os.environ, 10)
    pid = (folder / "pid").read_text()
    assert not Path(f"/proc/{pid}/cwd").exists()


def test_what_forks_ends_with_whoever_started_it(folder: Path) -> None:
    starts = (
        "import os\nfrom pathlib import Path\nfrom tests.targets import forked\n"
        "forked.run('kubenode', ['checks'], Path('.'), os.environ, 60)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", starts], cwd=ROOT, stderr=subprocess.PIPE)
    # nobody holds the pipe any more, or this would not come back
    assert killed.returncode == -signal.SIGKILL
