"""What a host is judged for, and that the checks it waives are there."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pyinfra.api import Config, Host, Inventory, OperationValueError, State

from kubenode import settings
from kubenode.audit import aim
from kubenode.audit.checks.check import Aim
from kubenode.audit.findings import Waiver
from kubenode.settings import NodeSettings
from tests.conftest import ROOT
from tests.targets import kubenode_cli
from tests.targets.pyinfra_cli import run

UNTIL = {"reason": "x", "until": "2027-01-31"}
WRONG = {"swap.bot": UNTIL}
SAYS = "kubenode_waivers (from host @local): 'swap.bot' is no check; did you mean swap.boot?"


def hosts(**data: object) -> list[Host]:
    """Hosts of a run: ``a`` has no settings, ``b`` has these."""
    b = {f"kubenode_{name}": value for name, value in data.items()}
    inventory = Inventory(([("a", {}), ("b", b)], {}))
    State(inventory, Config())
    return list(inventory)


def test_what_no_setting_says_is_judged_by_the_defaults() -> None:
    today = date(2026, 11, 25)
    assert aim.aim(NodeSettings()) == Aim(today=date.today())
    assert Aim(today=today) == Aim(
        kubernetes=None,
        profiles=frozenset({"bridge-cni"}),
        cgroup_driver="systemd",
        modules=("overlay", "br_netfilter"),
        sysctls={
            "net.bridge.bridge-nf-call-iptables": "1",
            "net.bridge.bridge-nf-call-ip6tables": "1",
            "net.ipv4.ip_forward": "1",
        },
        pause_image=None,
        today=today,
    )


def test_waivers_by_check() -> None:
    node = NodeSettings.model_validate({"waivers": {"swap.boot": UNTIL}})
    assert aim.waivers(node) == {"swap.boot": Waiver("swap.boot", "x", date(2027, 1, 31))}


def test_every_mistake_of_every_host_is_said_at_once() -> None:
    first, _ = hosts(waivers={**WRONG, "nothing-like-it": UNTIL}, modlues=[])
    with pytest.raises(OperationValueError) as raised:
        aim.check(first)
    lines = str(raised.value).splitlines()
    assert lines[0] == "settings are wrong, nothing was changed:"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "kubenode_modlues (from host b)",
        "kubenode_waivers (from host b)",
        "kubenode_waivers (from host b)",
    ]
    assert lines[2].endswith("'swap.bot' is no check; did you mean swap.boot?")
    assert lines[3].endswith("'nothing-like-it' is no check; `kubenode checks` lists them")


def test_waivers_that_are_none_are_refused_by_their_type() -> None:
    for waivers in (["swap.bot"], {3: UNTIL}, "swap.bot", None):
        first, _ = hosts(waivers=waivers)
        with pytest.raises(OperationValueError, match="kubenode_waivers"):
            aim.check(first)


def test_a_waiver_that_a_deploy_gives_a_host_is_checked() -> None:
    first, second = hosts()
    aim.check(first)
    second.data.kubenode_waivers = WRONG
    with pytest.raises(OperationValueError, match=r"set for b by the deploy.*swap\.boot"):
        aim.check(second)
    second.data.kubenode_waivers = {"swap.boot": UNTIL}
    aim.check(second)
    assert list(settings.for_host(second).waivers) == ["swap.boot"]


@pytest.mark.parametrize("deploy", ["deploy.py", "audit.py"])
def test_a_waiver_of_no_check_ends_a_deploy_before_any_host_is_asked(
    deploy: str, tmp_path: Path
) -> None:
    inventory = tmp_path / "inventory.py"
    inventory.write_text(f"hosts = [('@local', {{'kubenode_waivers': {WRONG!r}}})]\n")
    result = run("--dry", inventory, ROOT / deploy, cwd=tmp_path)
    assert result.returncode == 1
    assert SAYS in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert "Loaded fact" not in result.output


def test_a_waiver_of_no_check_ends_the_command_before_any_host_is_asked(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.py"
    inventory.write_text(f"hosts = [('@local', {{'kubenode_waivers': {WRONG!r}}})]\n")
    result = kubenode_cli.run("audit", "inventory.py", cwd=tmp_path)
    assert result.returncode == 64
    assert SAYS in result.stderr
    assert result.stdout == ""
