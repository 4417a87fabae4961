"""A pull over CRI goes through the written hosts.toml, and its password is nowhere else.

``make test`` has a containerd of 2, ``make soak`` one of 1.7 too.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from docker import DockerClient

from tests.conftest import ROOT
from tests.soak import loops
from tests.targets import kubenode_cli, pyinfra_cli, registry
from tests.targets.container import Target
from tests.targets.cri import CriError
from tests.targets.fleet import Fleet
from tests.targets.pyinfra_cli import Result
from tests.targets.registry import Registry
from tests.targets.ssh_key import SshKey

pytestmark = [pytest.mark.targets, pytest.mark.soak]

PASSWORD = "correct-horse-battery"
UPSTREAM = "images.kubenode.test"
IMAGE = f"{UPSTREAM}/team/pause:1"
HOSTS = f"/etc/containerd/certs.d/{UPSTREAM}/hosts.toml"

DEPLOY = """\
from pyinfra import host
from kubenode.operations import containerd

containerd.registry_hosts(registries=host.data.registries)
"""


@pytest.fixture(scope="module")
def fleet(docker_client: DockerClient, login_key: SshKey) -> Iterator[Fleet]:
    with Fleet(docker_client, login_key) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def mirror(fleet: Fleet) -> Registry:
    started = registry.start(fleet.start("trixie"), PASSWORD)
    started.add_image("team/pause", "1")
    return started


class Node:
    """A prepared node, and what pyinfra does there."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self.folder = folder
        self.deploy = folder / "registries.py"
        self.deploy.write_text(DEPLOY)
        hosts = pyinfra_cli.write_inventory(folder / "plain.py", [target.host()])
        result = pyinfra_cli.run("-y", hosts, ROOT / "deploy.py", cwd=folder)
        assert result.returncode == 0, result.output

    def run(self, registries: object, *arguments: str) -> Result:
        name, data = self.target.host()
        host = (name, {**data, "registries": registries})
        inventory = pyinfra_cli.write_inventory(self.folder / "inventory.py", [host])
        return pyinfra_cli.run(*arguments, inventory, self.deploy, cwd=self.folder)

    def start_of_containerd(self) -> str:
        return self.target.sh("systemctl show -p ActiveEnterTimestampMonotonic containerd")


@pytest.fixture(scope="module", params=loops.choice(["forky"], ["trixie", "forky"]))
def node(
    request: pytest.FixtureRequest, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory
) -> Node:
    return Node(fleet.start(request.param), tmp_path_factory.mktemp("node"))


def wanted(mirror: Registry, header: bool = True) -> dict[str, object]:
    host: dict[str, object] = {"capabilities": ["pull", "resolve"], "ca": mirror.ca}
    if header:
        host["header"] = {"Authorization": mirror.authorization}
    return {UPSTREAM: {"server": mirror.url, "ca": mirror.ca, "host": {mirror.url: host}}}


def traces(mirror: Registry) -> list[str]:
    """The secret in each form in which a text may have it."""
    found = [PASSWORD, mirror.authorization.removeprefix("Basic ")]
    # base64 of a text depends on what is before it, by three
    for secret in tuple(found):
        for before in ("", "x", "xx"):
            encoded = base64.b64encode(f"{before}{secret}".encode()).decode()
            found.append(encoded[4:-4])
    return found


def leaks(text: str, mirror: Registry) -> list[str]:
    return [trace for trace in traces(mirror) if trace in text]


@contextmanager
def watched_arguments() -> Iterator[list[str]]:
    """What arguments and environments processes have meanwhile: targets' are this machine's."""
    seen: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            for pid in filter(str.isdigit, os.listdir("/proc")):
                for name in ("cmdline", "environ"):
                    try:
                        seen.add(Path("/proc", pid, name).read_text(errors="replace"))
                    except OSError:
                        continue
            stop.wait(0.02)

    arguments: list[str] = []
    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield arguments
    finally:
        stop.set()
        thread.join()
        arguments += seen


def test_a_pull_goes_through_the_file_and_the_password_is_nowhere_else(
    node: Node, mirror: Registry
) -> None:
    target = node.target
    # without the header the mirror says no
    assert node.run(wanted(mirror, header=False), "-y").returncode == 0
    before = node.start_of_containerd()
    with pytest.raises(CriError):
        target.cri().pull(IMAGE)

    dry = node.run(wanted(mirror), "--dry", "--diff", "-vvv", "--debug", "--debug-operations")
    assert "a header that is not shown" in dry.output
    with watched_arguments() as arguments:
        result = node.run(wanted(mirror), "-y", "-vvv", "--debug", "--diff")
    assert result.returncode == 0, result.output
    assert any("base64 -d" in text for text in arguments), "nothing was seen of the host's sh"

    already = len(mirror.requests())
    assert target.cri().pull(IMAGE).startswith("sha256:")
    requests = [line for line in mirror.requests()[already:] if "GET /v2/team/pause" in line]
    assert any(f"?ns={UPSTREAM}" in line and '" 200 ' in line for line in requests), requests
    # hosts.toml takes no restart
    assert node.start_of_containerd() == before

    again = node.run(wanted(mirror), "-y", "-vvv", "--debug")
    assert "No changes" in again.output
    fact = "kubenode.facts.containerd.ContainerdFiles"
    inventory = node.folder / "plain.py"
    outputs = {
        "dry": dry.output,
        "deploy": result.output,
        "again": again.output,
        "fact": pyinfra_cli.run(
            "-y", "-vvv", "--json", inventory, "fact", fact, cwd=node.folder
        ).output,
        "audit": kubenode_cli.audit(inventory).result.output,
        "journal": target.sh("journalctl --no-pager -o cat"),
        "arguments": "\n".join(arguments),
    }
    assert HOSTS in outputs["fact"]
    assert {
        name: leaks(text, mirror) for name, text in outputs.items() if leaks(text, mirror)
    } == {}


def test_the_password_is_in_no_file_that_others_read(node: Node, mirror: Registry) -> None:
    assert node.run(wanted(mirror), "-y").returncode == 0
    secret = mirror.authorization.removeprefix("Basic ")
    found = node.target.sh(
        f"grep -rlF -e '{secret}' -e '{PASSWORD}' / --exclude-dir=proc --exclude-dir=sys "
        "2>/dev/null | grep -v '^/dev/' | xargs -r stat -c '%a %u %n'"
    ).splitlines()
    assert f"600 0 {HOSTS}" in found
    assert [line for line in found if not line.startswith("600 0 ")] == []
    # another password replaces it: what it was stays beside it, for root alone
    other = replace(mirror, authorization="Basic b3RoZXI6b3RoZXI=")
    assert node.run(wanted(other), "-y").returncode == 0
    node.target.cri().remove_image(IMAGE)
    with pytest.raises(CriError):
        node.target.cri().pull(IMAGE)
    modes = node.target.sh(f"stat -c %a {HOSTS} {HOSTS}.kubenode-backup*").split()
    assert set(modes) == {"600"}
    assert len(modes) > 1


def test_a_stranger_reads_neither_file_nor_fact(node: Node, mirror: Registry) -> None:
    assert node.run(wanted(mirror), "-y").returncode == 0
    code, out, _ = node.target.try_sh(f"cat {HOSTS}", user="stranger")
    assert (code != 0, out) == (True, "")


def test_a_registry_that_is_none_goes_and_twice_is_no_change(node: Node, mirror: Registry) -> None:
    target = node.target
    assert node.run(wanted(mirror), "-y").returncode == 0
    removed = node.run({UPSTREAM: None}, "-y")
    assert removed.returncode == 0, removed.output
    assert target.try_sh(f"test -e {HOSTS.rpartition('/')[0]}")[0] == 1
    assert target.sh(f"stat -c %a {HOSTS.rpartition('/')[0]}.kubenode-backup") == "700\n"
    assert "No changes" in node.run({UPSTREAM: None}, "-y").output
    target.sh(f"rm -r {HOSTS.rpartition('/')[0]}.kubenode-backup*")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"host": {"https://m": {"capabilities": ["pul"]}}}, "unknown capability 'pul'"),
        ({"host": {"https://m": {"skipverify": True}}}, "did you mean skip_verify?"),
        ({"host": {"https://user:hunter2@m": {}}}, "write an Authorization header"),
        ({"host": {"https://m/v2/team": {}}}, "override_path"),
        ({"host": {"https://m": {"header": {"X": 5}}}}, "is not a string"),
    ],
)
def test_what_containerd_would_ignore_is_an_error_before_anything_is_written(
    node: Node, settings: dict[str, object], reason: str
) -> None:
    before = node.target.sh("ls -lR --full-time /etc/containerd")
    result = node.run({"wrong.example": settings}, "-y")
    assert result.returncode != 0
    assert reason in result.output
    assert "hunter2" not in result.output
    assert node.target.sh("ls -lR --full-time /etc/containerd") == before


def test_what_others_wrote_of_other_registries_stays(node: Node, mirror: Registry) -> None:
    target = node.target
    theirs = "# ours\nserver = 'https://x'\n[host.'https://x']\n"
    target.write("/etc/containerd/certs.d/theirs.example/hosts.toml", theirs)
    target.write(f"/etc/containerd/certs.d/{UPSTREAM}/hosts.toml", theirs)
    target.write(f"/etc/containerd/certs.d/{UPSTREAM}/notes.txt", "ours")
    assert node.run(wanted(mirror), "-y").returncode == 0
    assert target.read("/etc/containerd/certs.d/theirs.example/hosts.toml") == theirs
    assert target.read(f"/etc/containerd/certs.d/{UPSTREAM}/notes.txt") == "ours"
    kept = target.sh(f"cat {HOSTS}.kubenode-backup*")
    assert theirs in kept
