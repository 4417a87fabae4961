"""The audit as its users run it, on the three suites."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kubenode.audit.checks.catalogue import CHECKS
from tests.conftest import ROOT, RunPyinfra, WriteInventory
from tests.soak import loops
from tests.targets import image, kubenode_cli, pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet

pytestmark = pytest.mark.targets

# A target is a container without limits, and has not what kubelet's package depends on. Debian's
# containerd is older than what upstream still fixes.
EXPECTED_WARNINGS = {
    "cgroup.controllers",
    "runtime.supported",
    "machine.programs.optional",
}
DROP_IN = "/etc/containerd/conf.d/site.toml"
WAIVERS = {
    check: {"reason": "test targets", "until": "2099-12-31"} for check in sorted(EXPECTED_WARNINGS)
}


def with_data(host: tuple[str, dict[str, str]], **data: Any) -> tuple[str, dict[str, Any]]:
    return host[0], {**host[1], **{f"kubenode_{name}": value for name, value in data.items()}}


@dataclass(frozen=True)
class Node:
    """A prepared node, and what it was before."""

    target: Target
    fresh: kubenode_cli.Audit


@pytest.fixture(scope="module")
def node(shared_target: Target, tmp_path_factory: pytest.TempPathFactory) -> Node:
    """One for all tests of a suite, in the order of this file."""
    folder = tmp_path_factory.mktemp("node")
    hosts = pyinfra_cli.write_inventory(folder / "inventory.py", [shared_target.host()])
    fresh = kubenode_cli.audit(hosts)
    result = pyinfra_cli.run("-y", hosts, ROOT / "deploy.py", cwd=folder)
    assert result.returncode == 0, result.output
    return Node(shared_target, fresh)


@pytest.mark.soak
@pytest.mark.parametrize(
    "shared_target", loops.choice(["trixie", "forky"], image.SUITES), indirect=True
)
def test_a_fresh_host_fails_and_a_prepared_one_does_not(
    node: Node, inventory: WriteInventory
) -> None:
    assert node.fresh.result.returncode == 1
    findings = node.fresh.findings()
    failed = {name for name, finding in findings.items() if finding["state"] == "fail"}
    assert failed == {"sysctl.ip-forward.boot", "runtime.installed"}

    target = node.target
    hosts = inventory(target.host())
    prepared = kubenode_cli.audit(hosts)
    assert prepared.result.returncode == 0
    assert set(prepared.findings()) == EXPECTED_WARNINGS
    assert {finding["state"] for finding in prepared.findings().values()} == {"warn"}
    assert kubenode_cli.audit(hosts, "--fail-on", "warn").result.returncode == 1

    waived = inventory(with_data(target.host(), waivers=WAIVERS))
    assert kubenode_cli.audit(waived, "--fail-on", "warn").result.returncode == 0

    # the programs' remedy, as their finding names it
    packages = "iproute2 iptables mount util-linux conntrack ethtool socat"
    target.sh(f"apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -yqq {packages}")
    assert set(kubenode_cli.audit(hosts).findings()) == {
        "cgroup.controllers",
        "runtime.supported",
    }


@pytest.mark.parametrize("shared_target", ["trixie"], indirect=True)
def test_pyinfra_audit_py_is_one_command_a_host(
    node: Node, targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    target, other = node.target, targets.start()
    result = run_pyinfra("-y", "-vv", inventory(target.host(), other.host()), ROOT / "audit.py")
    assert result.returncode == 1
    for host in (target, other):
        commands = re.findall(rf"\[@docker/{host.name}\] +>>> ", result.output)
        assert len(commands) == 1
    assert (
        "fail runtime.installed: containerd is not installed -> kubenode.node.prepare"
        in result.output
    )
    assert re.search(rf"\[@docker/{target.name}\] +noop: \d+ checks pass", result.output)
    good = run_pyinfra("-y", inventory(target.host()), ROOT / "audit.py")
    assert good.returncode == 0, good.output


@pytest.mark.parametrize("shared_target", ["trixie"], indirect=True)
def test_kubenode_audit_is_one_command_a_host(node: Node, inventory: WriteInventory) -> None:
    target = node.target
    # sshd says so itself: one line for each command that a session runs
    target.sh("echo 'LogLevel VERBOSE' >/etc/ssh/sshd_config.d/verbose.conf; systemctl restart ssh")
    audit = kubenode_cli.audit(inventory(target.host_over_ssh("operator")), "--sudo")
    assert audit.host()["error"] is None
    log = target.sh("journalctl -u ssh --no-pager")
    assert len(re.findall(r"Starting session: command", log)) == 1, log


def test_sudo_that_wants_a_password_fails_its_host_alone(
    targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    may, may_not = targets.start(init="sshd"), targets.start(init="sshd")
    hosts = inventory(may.host_over_ssh("operator"), may_not.host_over_ssh("stranger"))
    audit = kubenode_cli.audit(hosts, "--sudo")
    assert audit.result.returncode == 2
    assert "sudo wants a password" in audit.host(may_not.name)["error"]
    assert audit.host(may.name)["error"] is None
    assert "platform.root" not in audit.findings(may.name)

    # pyinfra's own command goes on too, and looks as the user there
    result = run_pyinfra("-y", "--sudo", hosts, ROOT / "audit.py")
    assert result.returncode == 1
    assert "warn platform.root: commands run as uid" in result.output
    assert "Traceback" not in result.output


def test_a_stopped_container_is_not_started(targets: Fleet, inventory: WriteInventory) -> None:
    target = targets.start(init="sleep")
    hosts = inventory(target.host(), ("@docker/debian", {"docker_identifier": "no-such-image"}))
    audit = kubenode_cli.audit(hosts)
    assert audit.result.returncode == 2
    assert "no running container" in audit.host("@docker/debian")["error"]


def test_formats_baseline_and_drift(
    targets: Fleet, run_pyinfra: RunPyinfra, inventory: WriteInventory, tmp_path: Path
) -> None:
    nodes = [targets.start() for _ in range(3)]
    hosts = inventory(*(node.host() for node in nodes))
    names = [f"report{suffix}" for suffix in (".html", ".json", ".xml", ".sarif", ".md", ".txt")]
    outputs = [option for name in names for option in ("--output", name)]
    first = kubenode_cli.run("audit", hosts, *outputs, cwd=tmp_path)
    assert first.returncode == 1, first.output
    assert "3 hosts: 3 fail" in first.stdout
    assert first.stderr == ""
    assert all((tmp_path / name).stat().st_size > 1000 for name in names)
    assert not list(tmp_path.glob(".*")), "a temporary file is left"
    saved = json.loads((tmp_path / "report.json").read_text())
    assert {host["state"] for host in saved["hosts"]} == {"fail"}

    nodes[0].sh("sysctl -qw net.ipv4.ip_forward=0; rm /etc/machine-id; echo abc >/etc/machine-id")
    nodes[1].sh("echo abc >/etc/machine-id")
    again = kubenode_cli.audit(hosts, "--baseline", "report.json").report
    assert [(change["kind"], change["host"], change["subject"]) for change in again["changes"]] == [
        ("new", f"@docker/{nodes[0].name}", "sysctl.ip-forward.live"),
        ("changed", f"@docker/{nodes[0].name}", "sysctl.ip-forward.boot"),
        ("fact", f"@docker/{nodes[0].name}", "sysctl.net.ipv4.ip_forward"),
    ]
    drift = {item["id"]: item for item in again["drift"]}
    odd = drift["drift.sysctl.net.ipv4.ip_forward"]
    assert odd["usual"] == "1, at boot kernel default"
    assert odd["odd"] == {"0, at boot kernel default": [f"@docker/{nodes[0].name}"]}
    assert drift["duplicate.machine-id"]["odd"] == {
        "abc": [f"@docker/{nodes[0].name}", f"@docker/{nodes[1].name}"]
    }


@pytest.mark.parametrize("shared_target", ["trixie"], indirect=True)
def test_a_misplaced_container_is_found(
    node: Node, run_pyinfra: RunPyinfra, inventory: WriteInventory
) -> None:
    target = node.target
    hosts = inventory(with_data(target.host(), cgroup_driver="cgroupfs"))
    assert run_pyinfra("-y", hosts, ROOT / "deploy.py").returncode == 0
    target.import_pause_image()
    with target.cri() as cri, cri.pod(cgroup_parent="/kubepods-pod1.slice") as pod:
        found = kubenode_cli.audit(hosts).findings()["cgroup-driver.placement"]
        assert found["state"] == "fail"
        assert found["evidence"][0]["text"] == pod.cgroup


@pytest.mark.parametrize("shared_target", ["forky"], indirect=True)
def test_a_drop_in_of_a_higher_version_is_found(node: Node, inventory: WriteInventory) -> None:
    """containerd 2.1 starts with it, and loses what Debian's file of version 2 says of CRI."""
    target = node.target
    hosts = inventory(target.host())
    whole = kubenode_cli.audit(hosts).findings()
    target.sh(
        f"sed -i '1i imports = [\"{DROP_IN}\"]' /etc/containerd/config.toml; "
        f"mkdir -p {DROP_IN.rpartition('/')[0]}; echo 'version = 3' >{DROP_IN}; "
        "systemctl restart containerd"
    )
    assert target.cri().systemd_cgroup() == {"runc": False}
    found = kubenode_cli.audit(hosts).findings()
    assert set(found) - set(whole) == {"containerd.drop-in-version"}
    text = found["containerd.drop-in-version"]["found"]
    assert text.startswith(f"{DROP_IN} is version 3 beside version 2 in /etc/containerd/")

    target.sh(f"sed -i s/3/2/ {DROP_IN}; systemctl restart containerd")
    assert set(kubenode_cli.audit(hosts).findings()) == set(whole)


@pytest.mark.parametrize("shared_target", ["trixie"], indirect=True)
def test_every_check_is_judged(node: Node, inventory: WriteInventory) -> None:
    audit = kubenode_cli.audit(inventory(node.target.host()), "--for", "1.36")
    assert [finding["check"] for finding in audit.host()["findings"]] == [c.id for c in CHECKS]
