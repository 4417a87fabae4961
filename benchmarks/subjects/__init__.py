"""What is compared: for each job, the command that a user of each subject would type."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

_HERE = Path(__file__).parent

PYINFRA = (sys.executable, "-m", "pyinfra")

Words = tuple[str | Path, ...]


@dataclass(frozen=True)
class Job:
    """One command."""

    command: Callable[[Path, int], Words]
    """From the folder with the inventories and the number of hosts."""
    answer: str = ""
    """What a person would type."""


@dataclass(frozen=True)
class Subject:
    """One way to do it."""

    name: str
    jobs: Mapping[str, Job]
    """By name: ``converge`` is unattended, ``prepare`` shows what would change and then does it."""
    environment: Mapping[str, str] = field(default_factory=dict)


def _pyinfra(deploy: Path) -> dict[str, Job]:
    def command(folder: Path, hosts: int) -> Words:
        return (*PYINFRA, folder / "inventory.py", deploy)

    return {
        "converge": Job(lambda folder, hosts: (*command(folder, hosts), "-y")),
        "prepare": Job(command, answer="\n"),
    }


def subjects(ansible_playbook: Path | None) -> list[Subject]:
    """All of them, in turn.

    + ansible_playbook: Ansible's program, None leaves Ansible out
    """
    found = [
        Subject(
            "floor",
            {
                "converge": Job(
                    lambda folder, hosts: (
                        *PYINFRA, "-y", folder / "inventory.py", "exec", "--", "true",
                    )
                )
            },
        ),
        Subject(
            "kubenode",
            {
                **_pyinfra(ROOT / "deploy.py"),
                "audit": Job(
                    lambda folder, hosts: (
                        sys.executable, "-m", "kubenode", "audit", folder / "inventory.py",
                        "--format", "json",
                    )
                ),
                "facts": Job(
                    lambda folder, hosts: (
                        *PYINFRA, folder / "inventory.py", "fact", "kubenode.facts.node.Node",
                    )
                ),
            },
        ),
        Subject("plain pyinfra", _pyinfra(_HERE / "plain_pyinfra.py")),
    ]  # fmt: skip
    if ansible_playbook is not None:
        program = ansible_playbook
        found.append(
            Subject(
                "ansible",
                {
                    "converge": Job(
                        lambda folder, hosts: (
                            program, "--inventory", folder / "inventory.json",
                            "--forks", str(hosts), _HERE / "playbook.yml",
                        )
                    )
                },
                {"ANSIBLE_CONFIG": str(_HERE / "ansible.cfg")},
            )
        )  # fmt: skip
    return found
