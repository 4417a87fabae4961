"""The audit on broken hosts: each break gives its one finding, and the remedy fixes it.

Breaks that know nothing of each other are tried together, on one host and by one audit, which has
their findings and no other; ``make soak`` tries each alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from tests.conftest import ROOT
from tests.end_to_end.break_groups import groups
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
from tests.soak import loops
from tests.targets import kubenode_cli, pyinfra_cli
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = [pytest.mark.targets, pytest.mark.soak]


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


def _tried(breaks: Sequence[Break]) -> list[Any]:
    """The breaks as they are tried: by groups, or by ``make soak`` one by one."""
    tried = [(broken,) for broken in breaks] if loops.is_soak() else groups(breaks)
    return [
        pytest.param(group, id=group[0].name + (f" and {more} more" if more else ""))
        for group in tried
        for more in [len(group) - 1]
    ]


@pytest.mark.parametrize("broken", _tried(BREAKS))
def test_breaks_give_their_findings_and_the_remedies_fix_them(
    node: Node, broken: tuple[Break, ...]
) -> None:
    break_and_fix(node, broken)


@pytest.mark.parametrize("broken", _tried(MODULES))
def test_module_breaks_give_their_findings(modular_node: Node, broken: tuple[Break, ...]) -> None:
    break_and_fix(modular_node, broken)


def break_and_fix(node: Node, group: tuple[Break, ...]) -> None:
    """Their findings and none besides, and none after the remedies."""
    whole = False
    options = group[0].options
    try:
        node.settings(group[0].settings)
        for broken in group:
            node.target.sh(broken.script)
        news = node.news(*options)
        assert set(news) == {broken.finding for broken in group}, "\n".join(news.values())
        for broken in group:
            said = news[broken.finding]
            assert json.loads(said)[0] == broken.state, said
            assert broken.evidence in said

        fix(node, group, news)
        news = node.news(*options if any(broken.fix for broken in group) else ())
        assert not {broken.finding for broken in group} & set(news), news
        node.settings({})
        if undo := [broken.undo for broken in reversed(group) if broken.undo]:
            for script in undo:
                node.target.sh(script)
            news = node.news(*node.options)
        assert news == {}
        whole = True
    finally:
        # the next test must not meet what this one left
        if not whole:
            node.renew()


def fix(node: Node, group: tuple[Break, ...], news: dict[str, str]) -> None:
    """What the remedies say: by hand, by operations, and by one deploy.

    + news: what the audit has found
    """
    remedies = {broken.fix for broken in group} - {""}
    operations = {remedy for remedy in remedies if remedy.startswith("from kubenode")}
    for script in sorted(remedies - operations - {DEPLOY, REMEDY}):
        node.target.sh(script)
    for broken in group:
        if broken.fix == REMEDY:
            printed = json.loads(news[broken.finding])[2]["remedy"]
            operations.add(as_deploy(calls_in(printed)[0]))
    for operation in sorted(operations):
        deploy = node.inventory.parent / "operation.py"
        deploy.write_text(operation)
        node.deploy({}, deploy)
    if DEPLOY in remedies:
        node.deploy({key: value for broken in group for key, value in broken.data.items()})
