"""What a run imports before it asks the first host: no more than it is going to need."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from kubenode.audit import checks
from kubenode.audit.checks.catalogue import CHECKS

_SLOW = ("jinja2", "rich", "ruamel", "tomlkit")
_JUDGES = sorted({check.judge.__module__ for check in CHECKS})


def _imported(module: str) -> set[str]:
    # what pyinfra's command line imports itself, Jinja2 for one, is not for us to save
    script = (
        "import sys, pyinfra_cli.cli; before = set(sys.modules)\n"
        f"import {module}; print(*set(sys.modules) - before)"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


@pytest.mark.parametrize("module", ["kubenode.node", "kubenode.cli"])
def test_what_few_runs_use_waits_for_them(module: str) -> None:
    imported = _imported(module)
    assert module in imported
    assert imported.isdisjoint(_SLOW)


def test_preparing_a_host_imports_the_checks_that_it_judges_by_alone() -> None:
    imported = _imported("kubenode.node")
    assert imported.intersection(_JUDGES) == {
        "kubenode.audit.checks.cgroups",
        "kubenode.audit.checks.platform",
    }
    assert "kubenode.audit.findings" not in imported


def test_preparing_a_host_imports_the_operations_of_its_own_runtime_alone() -> None:
    imported = _imported("kubenode.node")
    others = ("containerd", "crio", "docker", "kubelet", "kubernetes")
    assert imported.isdisjoint(f"kubenode.operations.{name}" for name in others)


def test_every_topic_is_in_the_catalogue() -> None:
    topics = [
        importlib.import_module(f"{checks.__name__}.{path.stem}")
        for path in Path(checks.__file__).parent.glob("*.py")
        if path.stem not in ("__init__", "catalogue")
    ]
    found = {check.id for topic in topics for check in getattr(topic, "CHECKS", ())}
    assert found == {check.id for check in CHECKS}
