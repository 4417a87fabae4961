"""What a check's remedy says is done to the letter, and helps.

``make test`` tries a call for one of the checks that name it, ``make soak`` for each.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator

import pytest
from docker import DockerClient

from kubenode.audit.checks.catalogue import CHECKS
from kubenode.settings import NodeSettings
from tests.end_to_end.breaks import BREAKS, DEPLOY, REMEDY, Break
from tests.end_to_end.remedies import as_deploy, calls_in
from tests.end_to_end.test_audit_breaks import OF_TODAY, Node
from tests.soak import loops
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

_SETTING = re.compile(r"\b(kubenode_[a-z_]+)(?:=(\w+))?")

CALLS = sorted({call for check in CHECKS for call in calls_in(check.remedy)})
REMEDIES = {check.id: check.remedy for check in CHECKS}


ELSEWHERE = {
    # a node of the breaks has no kubelet, so that kubeadm would get a patch
    'kubelet.configured(settings={"cgroupDriver": "systemd"})': "test_kubelet_configured.py",
}
"""Calls that fix nothing on the node here, and the file that tries them."""


def fixed_by(call: str) -> list[Break]:
    """A break for each check whose remedy has the call."""
    breaks: dict[str, Break] = {}
    for broken in BREAKS:
        if (
            call in REMEDIES[broken.finding]
            and call not in ELSEWHERE
            and broken.fix in (DEPLOY, REMEDY)
            and not broken.settings
            and "kubenode_sysctls_override" not in broken.data
        ):
            breaks.setdefault(broken.finding, broken)
    return list(breaks.values())


def test_there_are_calls() -> None:
    assert len(CALLS) >= 10
    assert sum(bool(fixed_by(call)) for call in CALLS) >= 8


@pytest.mark.parametrize("call", CALLS)
def test_a_call_can_be_copied(call: str) -> None:
    expression = ast.parse(call, mode="eval").body
    assert isinstance(expression, ast.Call)
    module, _, name = call.partition("(")[0].partition(".")
    operation = getattr(importlib.import_module(f"kubenode.operations.{module}"), name)
    arguments = {word.arg: ast.literal_eval(word.value) for word in expression.keywords if word.arg}
    assert not expression.args
    assert "..." not in call
    inspect.signature(inspect.unwrap(operation._inner)).bind(**arguments)


def test_a_setting_that_is_named_exists_and_its_value_is_one_that_a_break_tries() -> None:
    for check in CHECKS:
        for name, value in _SETTING.findall(check.remedy):
            assert name.removeprefix("kubenode_") in NodeSettings.model_fields, check.id
            if value:
                assert any({name: value} == broken.data for broken in BREAKS), check.id


@pytest.fixture(scope="module")
def node(
    docker_client: DockerClient, login_key: SshKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    with Fleet(docker_client, login_key) as fleet:
        yield Node(fleet, tmp_path_factory.mktemp("node"))


@pytest.mark.targets
@pytest.mark.soak
@pytest.mark.parametrize(
    ("call", "broken"),
    [
        pytest.param(call, broken, id=f"{call} for {broken.finding}")
        for call in CALLS
        for broken in fixed_by(call)[: loops.count(1, 100)]
    ],
)
def test_the_call_fixes_the_finding_and_breaks_nothing(
    node: Node, call: str, broken: Break
) -> None:
    fixed = False
    try:
        node.target.sh(broken.script)
        assert list(node.news(*broken.options)) == [broken.finding]
        deploy = node.inventory.parent / "remedy.py"
        deploy.write_text(as_deploy(call))
        node.deploy({}, deploy)
        assert not set(node.audit().findings()) - set(node.whole) - OF_TODAY
        if broken.undo:
            node.target.sh(broken.undo)
        fixed = True
    finally:
        if not fixed:
            node.renew()
