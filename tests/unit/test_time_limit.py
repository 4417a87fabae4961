"""The limit of time that operations' programs have is that of probes' programs."""

from __future__ import annotations

import re
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
    for name in ("cat", "grep", "head", "rm", "sleep", "yes"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    (folder / "sh").symlink_to(SHELLS[shell])
    return subprocess.run(
        [folder / "sh", "-c", script],
        env={"PATH": f"{folder}:"},
        capture_output=True,
        text=True,
        timeout=30,
    )


def ended(host: Path) -> None:
    """Wait: busybox's timeout looks once a second whether its program has ended."""
    end = time.monotonic() + 10
    while running(host) and time.monotonic() < end:
        time.sleep(0.1)


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
    ended(host)


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


@pytest.mark.parametrize("shell", SHELLS)
def test_what_a_program_says_has_a_limit_and_its_own_code(host: Path, shell: str) -> None:
    says = "sh -c 'echo out; echo error >&2; exit 3'"
    ran = run(
        host,
        shell,
        f"{time_limit.FUNCTIONS}said=$(told limited 5 {says}); echo $? $said\n"
        "trap '' PIPE\n"
        # with the memory of all its output this shell would end
        "ulimit -S -v 100000\n"
        "floods() { limited 2 yes; limited 2 yes >&2; }\n"
        "said=$(told floods); echo ${#said}; (said=$(floods 2>&1); echo ${#said}) 2>/dev/null\n"
        "said=$(told limited 5 true); echo $? $said",
    )
    code, size, last = ran.stdout.splitlines()
    assert (code, last) == ("3 out error", "0")
    assert time_limit.MOST_TOLD - 2 <= int(size) <= time_limit.MOST_TOLD
    ended(host)


def test_no_script_takes_in_what_a_program_says_without_end() -> None:
    """What a shell that changes a host takes in of a program that may hang is limited too."""
    root = Path(probe.__file__).parents[1]
    taking_in = re.compile(r"\$\((?:[^()]|\([^()]*\))*\)", re.DOTALL)
    takes = {
        f"{path.name}: {found}"
        for path in root.rglob("*.sh")
        if not path.is_relative_to(root / "facts") and path.name != "functions.sh"
        for found in taking_in.findall(re.sub(r"\n *#.*", "", path.read_text()))
        if re.search(r"\b(limited|check|program_runs|ask_health)\b", found)
        # an archive is the one whose checksum was stated
        and "tar -x" not in found
        and not re.search(r"\btold\b|\| *\\?\n? *head -", found)
    }
    assert takes == set()
