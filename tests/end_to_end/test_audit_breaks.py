"""The audit on broken hosts: each break gives its one finding, and the remedy mends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import DockerClient

from tests.conftest import ROOT
from tests.end_to_end.breaks import BREAKS, DEPLOY, Break
from tests.targets import kubenode_cli, pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets


class Node:
    """A prepared node, and what its audit says while it is whole."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self.inventory = pyinfra_cli.write_inventory(folder / "inventory.py", [target.host()])
        self.deploy({})
        self.whole = self.audit().findings()

    def deploy(self, data: dict[str, str]) -> None:
        result = pyinfra_cli.run(
            "-y", self.inventory, ROOT / "deploy.py", cwd=self.inventory.parent, data=data
        )
        assert result.returncode == 0, result.output

    def audit(self, *options: str) -> kubenode_cli.Audit:
        return kubenode_cli.audit(self.inventory, *options)

    def news(self, *options: str) -> dict[str, str]:
        """What an audit finds now and did not find on the whole node, with all it says of it."""
        found = self.audit(*options).findings()
        return {
            check: f"{finding['state']}: {finding}"
            for check, finding in found.items()
            if self.whole.get(check, {}).get("found") != finding["found"]
        }


@pytest.fixture(scope="module")
def node(
    docker_client: DockerClient, login_key: SshKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    with Fleet(docker_client, login_key) as fleet:
        yield Node(fleet.start("trixie"), tmp_path_factory.mktemp("node"))


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.name)
def test_a_break_gives_its_finding_and_the_remedy_mends_it(node: Node, broken: Break) -> None:
    try:
        node.target.sh(broken.script)
        news = node.news(*broken.options)
        assert list(news) == [broken.finding], news
        assert news[broken.finding].startswith(f"{broken.state}: "), news
        assert broken.evidence in news[broken.finding]

        if broken.mend == DEPLOY:
            node.deploy(dict(broken.data))
        else:
            node.target.sh(broken.mend)
        if broken.mend:
            assert node.news() == {}
    finally:
        if broken.undo:
            node.target.try_sh(broken.undo)
        if node.news():
            # the next test must not meet what this one left
            node.deploy({"kubenode_sysctls_override": "true"})
