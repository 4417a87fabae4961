"""A program that a host does not have makes unknown what it was for, and never absent."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kubenode.facts.node import Node
from kubenode.wire import probe
from kubenode.wire.reading import read_answer

SHELLS = [shell for shell in (["dash"], ["bash"], ["busybox", "sh"]) if shutil.which(shell[0])]

FACT = Node()
FACT.command()

STATED = {
    *probe.PROGRAMS,
    *(name for script in FACT.scripts.values() for name in (*script.programs, *script.at_times)),
}
# whose absence shows nothing here, or is stated by the script itself where it matters
BUILTINS = {"command", "echo", "false", "kill", "printf", "read", "test", "true", "wait"}
ON_SOME_HOSTS = {"dpkg-query", "id", "rpm", "sha256sum", "sudo", "systemctl", "timeout", "zcat"}
# what a node is asked about: one that is not there is not installed
SUBJECTS = {"containerd", "crictl", "ctr", "curl", "docker", "kubelet"}
PROGRAMS = sorted({*STATED, *ON_SOME_HOSTS})

# what changes by itself on a machine that works
LOOKS = 10
VOLATILE = {"free_kib", "free_inodes_percent", "containers_running", "pods"}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PATH of links to all programs of this machine."""
    folder = tmp_path_factory.mktemp("bin")
    for directory in reversed(probe.DIRECTORIES.split(":")):
        for program in Path(directory).glob("*"):
            (folder / program.name).unlink(missing_ok=True)
            (folder / program.name).symlink_to(program)
    return folder


def look(path: Path, shell: list[str]) -> Any:
    script = probe.script(FACT.scripts).replace(probe.DIRECTORIES, str(path))
    (path / "sh").unlink(missing_ok=True)
    (path / "sh").symlink_to(shutil.which(shell[0]) or "")
    finished = subprocess.run(
        [path / "sh", "-c", script],
        env={**os.environ, "PATH": str(path)},
        capture_output=True,
        text=True,
        check=True,
    )
    readings = read_answer(finished.stdout.split("\n"), FACT.scripts)
    if not readings:
        return readings.why_not("platform")
    return steady(FACT.parse(readings))


def steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: steady(item) for key, item in value.items() if key not in VOLATILE}
    return value


def complete(path: Path) -> list[Any]:
    """What is known with all programs: busybox's are others."""
    return [look(path, shell) for shell in SHELLS]


@pytest.fixture(scope="module")
def known(path: Path) -> list[Any]:
    """What was known with all programs, by each look: a machine at work changes."""
    return complete(path)


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_a_missing_program_was_for_is_unknown(
    path: Path, program: str, known: list[Any]
) -> None:
    found = look_without(path, program)
    if program in probe.PROGRAMS:
        assert found == f"`{program}` is missing on the host"
        return
    # other tests start and end runtimes on this machine meanwhile
    for _ in range(LOOKS):
        if not (more := says_more(found, known)):
            break
        known[:] = complete(path)
        found = look_without(path, program)
    assert not more
    named = [part for part, reason in found["missing"].items() if f"`{program}`" in reason]
    assert set(found["missing"]) == set(named)
    assert named or not any(program in script.programs for script in FACT.scripts.values())


def look_without(path: Path, program: str) -> Any:
    link = path / program
    target = link.readlink() if link.is_symlink() else None
    link.unlink(missing_ok=True)
    try:
        # dash and bash have no programs of their own as busybox's shell does
        return look(path, ["dash" if shutil.which("dash") else "bash"])
    finally:
        if target:
            link.symlink_to(target)


def says_more(found: Any, known: list[Any]) -> list[str]:
    """The parts that say what is not known with all programs."""
    return [
        part
        for part in found
        if part != "missing" and not any(is_less(found[part], each[part]) for each in known)
    ]


def is_less(found: Any, known: Any) -> bool:
    """Whether *found* says nothing that *known* does not: it is the same, or unknown."""
    if isinstance(found, dict) and isinstance(known, dict):
        return found.keys() == known.keys() and all(
            is_less(found[key], known[key]) for key in found
        )
    return found is None or found == known


def test_with_all_programs_nothing_is_missing(known: list[Any]) -> None:
    assert all(each["missing"] == {} for each in known)


def test_every_program_that_a_script_calls_is_stated() -> None:
    """Of what is on this machine, whatever stands where a command may begin."""
    scripts = list(FACT.scripts.values())
    parts = [probe._WATCH, probe._SHELL_FUNCTIONS, probe._shared(scripts)]
    text = re.sub(r"'[^']*'|#.*", "", "\n".join([*parts, *(script.shell for script in scripts)]))
    text = re.sub(r"captured(_part)? |limited \d+ ", "", text)
    begins = re.compile(
        r"(?:^|[|;&({]|\b(?:then|do|else|if|until|while|!)) *([a-z][a-z0-9-]+)(?= )",
        re.MULTILINE,
    )
    words = set(begins.findall(text))
    own = set(re.findall(r"^(\w+)\(\) \{", text, re.MULTILINE)) | BUILTINS
    called = {word for word in words - own if shutil.which(word)}
    assert called <= {*STATED, *ON_SOME_HOSTS, *SUBJECTS}
    assert {"cat", "df", "grep", "find"} <= called
