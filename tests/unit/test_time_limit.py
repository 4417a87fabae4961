"""The limit of time that operations' programs have is that of probes' programs."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from kubenode.runtimes import config_swap
from kubenode.runtimes.containerd import proof
from kubenode.wire import probe, time_limit
from tests.unit.test_probe_limits import SHELLS, host, running

__all__ = ["host"]


def run(folder: Path, shell: str, script: str) -> subprocess.CompletedProcess[str]:
    """What a script says, with no programs but a folder's, of which none is timeout(1)."""
    for name in ("cat", "grep", "rm", "sleep"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    (folder / "sh").symlink_to(SHELLS[shell])
    return subprocess.run(
        [folder / "sh", "-c", script],
        env={"PATH": f"{folder}:"},
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_a_program_that_hangs_is_ended_without_timeout_too(host: Path, shell: str) -> None:
    begun = time.monotonic()
    script = f"{time_limit.FUNCTIONS}said=$(limited 1 hangs); echo $? $said"
    ran = run(host, shell, script)
    assert (ran.returncode, ran.stdout) == (0, "137 begins\n")
    assert time.monotonic() - begun < 10
    assert not running(host)


@pytest.mark.parametrize("shell", SHELLS)
def test_what_ends_in_time_has_its_own_code(host: Path, shell: str) -> None:
    script = f"{time_limit.FUNCTIONS}limited 5 sh -c 'echo in; exit 3'; echo $?"
    assert run(host, shell, script).stdout == "in\n3\n"
    # busybox's timeout looks once a second whether its program has ended
    end = time.monotonic() + 10
    while running(host) and time.monotonic() < end:
        time.sleep(0.1)


@pytest.mark.parametrize("shell", SHELLS)
def test_cri_that_does_not_answer_is_not_waited_for(host: Path, shell: str) -> None:
    (host / "ctr").write_text((host / "hangs").read_text())
    (host / "ctr").chmod(0o755)
    limit = f"limited {config_swap.PROGRAM_SECONDS} "
    assert limit in proof.FUNCTIONS
    functions = config_swap.CRI_FUNCTIONS + "\n" + proof.FUNCTIONS.replace(limit, "limited 1 ")
    assert run(host, shell, f"{functions}\nsocket=/x; cri_serves; echo $?").stdout == "1\n"


def test_there_is_one_such_function() -> None:
    root = Path(probe.__file__).parents[1]
    texts = [path.read_text() for path in root.rglob("*") if path.suffix in (".py", ".sh")]
    assert sum(text.count("limited() {\n") + text.count("limited() { ") for text in texts) == 1
