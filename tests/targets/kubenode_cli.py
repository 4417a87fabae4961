"""kubenode as its user runs it: a command line, and what comes out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.targets import pyinfra_cli
from tests.targets.pyinfra_cli import Result

_SECONDS = 300


@dataclass(frozen=True)
class Audit:
    """A finished ``kubenode audit --format json``."""

    result: Result
    report: Any

    def host(self, name: str | None = None) -> Any:
        """The report of the host *name*, or of the only one."""
        hosts = self.report["hosts"]
        if name is None:
            assert len(hosts) == 1
            return hosts[0]
        return next(host for host in hosts if host["host"] == name)

    def findings(self, name: str | None = None) -> dict[str, Any]:
        """What is not right on a host: findings by check."""
        return {
            finding["check"]: finding
            for finding in self.host(name)["findings"]
            if finding["state"] not in ("pass", "not-applicable")
        }


def run(*arguments: str | Path, cwd: Path) -> Result:
    """Run kubenode with this interpreter; nobody is there to answer its questions."""
    return pyinfra_cli.started("kubenode", arguments, cwd, {"COLUMNS": "100"}, _SECONDS)


def audit(inventory: Path, *options: str) -> Audit:
    """Audit the hosts of an inventory file."""
    result = run("audit", inventory, "--format", "json", *options, cwd=inventory.parent)
    assert result.returncode in (0, 1, 2), result.output
    assert "Traceback" not in result.output, result.output
    return Audit(result, json.loads(result.stdout))
