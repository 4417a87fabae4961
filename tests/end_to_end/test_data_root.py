"""The data root that is judged is the one that containerd uses, wherever its files put it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from docker import DockerClient

from kubenode.audit.checks.catalogue import by_id
from kubenode.audit.checks.check import Aim, Subject, Verdict, verdict_of
from kubenode.facts.node import Node, NodeShape
from tests.conftest import ROOT
from tests.targets import pyinfra_cli
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

CONFIG = "/etc/containerd/config.toml"
UNIT = "/etc/systemd/system/containerd.service.d/root.conf"
DISK = "/srv/disk"


@pytest.fixture(scope="module")
def host(
    docker_client: DockerClient, login_key: SshKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """A prepared host, with a small disk, and the usual place where no program may run."""
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start("trixie")
        inventory = pyinfra_cli.write_inventory(
            tmp_path_factory.mktemp("root") / "inventory.py", [target.host()]
        )
        result = pyinfra_cli.run("-y", inventory, ROOT / "deploy.py", cwd=inventory.parent)
        assert result.returncode == 0, result.output
        target.sh(
            f"cp {CONFIG} /root/config.toml; mkdir {DISK}; chmod 755 {DISK}; "
            f"mount -t tmpfs -o mode=755,size=8m tmpfs {DISK}; "
            "mount -o remount,bind,noexec /var/lib/containerd; useradd -m stranger || :"
        )
        yield target


def ask(target: Target, user: str = "root") -> NodeShape:
    fact = Node()
    code, output, error = target.try_sh(fact.command(), user=user)
    assert code == 0, error
    return fact.process(output.splitlines())


def says_root(target: Target, root: str) -> None:
    target.sh(f"sed '/^root = /d; 1i root = \"{root}\"' /root/config.toml >{CONFIG}")


def verdict(facts: NodeShape, check: str) -> Verdict:
    return verdict_of(by_id(check), Subject(facts, Aim()))


def root_of(facts: NodeShape) -> Any:
    assert facts["containerd"]
    return facts["containerd"]["data_root"]


def test_the_usual_place_is_judged_while_nothing_else_is_stated(host: Target) -> None:
    facts = ask(host)
    assert root_of(facts) == {"path": "/var/lib/containerd", "file_system": None, "error": None}
    assert verdict(facts, "machine.mount-options").outcome == "violated"


@pytest.mark.parametrize(
    "root",
    [
        f"{DISK}/containerd",  # does not exist yet
        f"{DISK}/there",
        f"{DISK}/there/",
        "/srv/link",
        "/srv/dangling",
    ],
)
def test_another_file_system_is_judged_in_place_of_the_usual_one(host: Target, root: str) -> None:
    host.sh(f"mkdir -p {DISK}/there; ln -sfn {DISK}/there /srv/link; "
            f"ln -sfn {DISK}/to/come /srv/dangling")  # fmt: skip
    says_root(host, root)
    facts = ask(host)
    assert root_of(facts)["path"] == root
    assert root_of(facts)["file_system"]["mount"] == DISK
    assert root_of(facts)["file_system"]["kind"] == "tmpfs"
    assert verdict(facts, "machine.mount-options").outcome == "met"
    disk = verdict(facts, "machine.disk")
    assert disk.outcome == "met", disk
    assert "/var/lib/containerd" not in disk.found

    host.sh(f"head -c 7800k /dev/zero >{DISK}/full; mount -o remount,noexec {DISK}")
    try:
        facts = ask(host)
    finally:
        host.sh(f"rm {DISK}/full; mount -o remount,exec {DISK}")
    disk = verdict(facts, "machine.disk")
    assert disk.outcome == "violated", disk
    assert disk.found.startswith(f"{root} ")
    assert verdict(facts, "machine.mount-options").outcome == "violated"


def test_the_flag_of_the_unit_wins(host: Target) -> None:
    says_root(host, "/var/lib/containerd")
    host.sh(f"mkdir -p {UNIT.rpartition('/')[0]}")
    host.write(UNIT, f"[Service]\nExecStart=\nExecStart=/usr/bin/containerd --root {DISK}/c\n")
    host.sh("systemctl daemon-reload")
    try:
        found = root_of(ask(host))
    finally:
        host.sh(f"rm {UNIT}; systemctl daemon-reload")
    assert (found["path"], found["file_system"]["mount"]) == (f"{DISK}/c", DISK)


@pytest.mark.parametrize(
    ("root", "user", "why"),
    [
        ("/home/stranger/c", "root", "not trusted: /home/stranger belongs to uid"),
        ("/srv/mine", "root", "not trusted: "),
        ("relative", "root", "it cannot be told where that is"),
        ("/root/closed/c", "stranger", "it cannot be told where that is"),
    ],
)
def test_a_root_that_cannot_be_judged_is_unknown(
    host: Target, root: str, user: str, why: str
) -> None:
    host.sh("ln -sfn /home/stranger/c /srv/mine; mkdir -p /root/closed; chmod 700 /root; "
            f"chmod 644 {CONFIG}")  # fmt: skip
    says_root(host, root)
    facts = ask(host, user)
    found = root_of(facts)
    assert found["file_system"] is None
    assert why in found["error"]
    for check in ("machine.disk", "machine.inodes", "machine.mount-options", "machine.file-system"):
        assert verdict(facts, check).outcome == "unknown", check


def test_broken_files_are_one_finding_and_the_root_is_not_known(host: Target) -> None:
    host.sh(f"echo 'oops = = 1' >>{CONFIG}")
    facts = ask(host)
    assert root_of(facts)["path"] is None
    for check in ("machine.disk", "machine.inodes", "machine.mount-options", "machine.file-system"):
        assert verdict(facts, check).outcome == "not-applicable", check
        assert "see runtime.config-readable" in verdict(facts, check).found
