"""The audit on broken hosts: each break gives its one finding, and the remedy fixes it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from tests.conftest import ROOT
from tests.end_to_end.breaks import (
    BREAKS,
    DEPLOY,
    MODULAR_KERNEL,
    MODULAR_OPTIONS,
    MODULES,
    REMEDY,
    Break,
)
from tests.end_to_end.remedies import as_deploy, calls_in
from tests.targets import kubenode_cli, pyinfra_cli
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets


OF_TODAY = {"kubernetes.supported"}
"""What the day decides: kubelets here are of a release that the targets' containerd is for."""


class Node:
    """A prepared node, and what its audit says while it is whole."""

    def __init__(
        self, fleet: Fleet, folder: Path, script: str = ":", options: tuple[str, ...] = ()
    ) -> None:
        self._fleet = fleet
        self._folder = folder
        self._script = script
        self.options = options
        self.renew()

    def renew(self) -> None:
        """Prepare another target: this one is not what it was."""
        self._fleet.stop()
        self.target = self._fleet.start("trixie")
        self.settings({})
        self.deploy({})
        self.target.sh(self._script)
        self.whole = self.audit(*self.options).findings()

    def settings(self, settings: Mapping[str, Any]) -> None:
        """Give the host data."""
        name, data = self.target.host()
        self.inventory = pyinfra_cli.write_inventory(
            self._folder / "inventory.py", [(name, {**data, **settings})]
        )

    def deploy(self, data: Mapping[str, str], deploy: Path = ROOT / DEPLOY) -> None:
        result = pyinfra_cli.run("-y", self.inventory, deploy, cwd=self.inventory.parent, data=data)
        assert result.returncode == 0, result.output

    def audit(self, *options: str) -> kubenode_cli.Audit:
        return kubenode_cli.audit(self.inventory, *options)

    def news(self, *options: str) -> dict[str, str]:
        """What an audit finds now and did not find on the whole node, with all it says of it."""
        found = self.audit(*options).findings()
        return {
            check: json.dumps([finding["state"], finding["found"], finding])
            for check, finding in found.items()
            if self.whole.get(check, {}).get("found") != finding["found"] and check not in OF_TODAY
        }


@pytest.fixture(scope="module")
def node(
    docker_client: DockerClient, login_key: SshKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    with Fleet(docker_client, login_key) as fleet:
        yield Node(fleet, tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="module")
def modular_node(
    docker_client: DockerClient, login_key: SshKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """A node whose kernel seems to have modules."""
    with Fleet(docker_client, login_key) as fleet:
        folder = tmp_path_factory.mktemp("modular")
        yield Node(fleet, folder, MODULAR_KERNEL, MODULAR_OPTIONS)


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.name)
def test_a_break_gives_its_finding_and_the_remedy_fixes_it(node: Node, broken: Break) -> None:
    break_and_fix(node, broken)


@pytest.mark.parametrize("broken", MODULES, ids=lambda broken: broken.name)
def test_a_module_break_gives_its_finding(modular_node: Node, broken: Break) -> None:
    break_and_fix(modular_node, broken)


def break_and_fix(node: Node, broken: Break) -> None:
    """The finding and none besides, and none after the remedy."""
    whole = False
    try:
        node.settings(broken.settings)
        node.target.sh(broken.script)
        news = node.news(*broken.options)
        assert list(news) == [broken.finding], "\n".join(news.values())
        said = news[broken.finding]
        assert json.loads(said)[0] == broken.state, said
        assert broken.evidence in said

        if broken.fix == DEPLOY:
            node.deploy(broken.data)
        elif broken.fix == REMEDY:
            printed = json.loads(said)[2]["remedy"]
            operation = node.inventory.parent / "remedy.py"
            operation.write_text(as_deploy(calls_in(printed)[0]))
            node.deploy({}, operation)
        elif broken.fix.startswith("from kubenode"):
            operation = node.inventory.parent / "operation.py"
            operation.write_text(broken.fix)
            node.deploy({}, operation)
        elif broken.fix:
            node.target.sh(broken.fix)
        news = node.news(*broken.options if broken.fix else ())
        assert broken.finding not in news, news
        node.settings({})
        if broken.undo:
            node.target.sh(broken.undo)
            news = node.news(*node.options)
        assert news == {}
        whole = True
    finally:
        # the next test must not meet what this one left
        if not whole:
            node.renew()
