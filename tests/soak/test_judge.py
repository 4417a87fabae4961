"""Controls: what the kill loop is there to find is found, in deploys that are wrong on purpose."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from docker import DockerClient

from tests.soak import state
from tests.soak.deploy import Deploy
from tests.soak.host import Host
from tests.soak.kill_round import Loop
from tests.soak.kills import Kill
from tests.soak.state import CONFIG, Wanted
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

_NAME = "Node | Sysctls"
_SHELL = """\
from pyinfra.operations import server

server.shell(name={name!r}, commands=[{script!r}])
"""
MARK = "/run/wrong-deploy-is-there"
"""What a wrong deploy makes once it is where it is wrong."""
NOW = f"touch {MARK}; sleep 3"

_STAGED = "/etc/containerd/.config.toml.new"
_HALF = f"cp -p {CONFIG} /run/whole; head -c 100 /run/whole >{CONFIG}"

# a deploy, who is killed in it, and what must be said of the round
WRONG = {
    "it writes in place, stages and keeps no backup": (
        f"head -c 100 {CONFIG} >{CONFIG}.kubenode-backup; touch {_STAGED}; {_HALF}; {NOW}; "
        f"cp /run/whole {CONFIG}",
        "remote shell",
        [
            f"{CONFIG} was of 100 bytes, neither the old one nor",
            f"{CONFIG}.kubenode-backup is nothing that {CONFIG} ever was, after the kill",
            f"{_STAGED} is left behind",
            "the rerun fails with 1",
        ],
    ),
    "it writes in place for a moment, lets a mode go and keeps nothing": (
        f"{_HALF}; sleep 0.1; cp /run/whole {CONFIG}.x; echo '# more' >>{CONFIG}.x; "
        f"mv {CONFIG}.x {CONFIG}; {NOW}",
        "pyinfra KILL",
        [
            f"{CONFIG} was of 100 bytes, neither the old one nor",
            f"{CONFIG} has another owner or mode than before: (0, 0) 6",
            f"what {CONFIG} was before is in no backup",
        ],
    ),
    "it stops the runtime": (
        f"systemctl stop containerd; {NOW}",
        "pyinfra KILL",
        ["CRI does not serve within 1 s after the kill"],
    ),
    "it says that all is well": (
        f"touch {MARK}",
        "containerd restarts",
        [
            f"pyinfra reports success, and {CONFIG} has SystemdCgroup",
            "pyinfra reports success, and net.ipv4.tcp_keepalive_time is",
        ],
    ),
}


class AtMark(Kill):
    """A kill that waits for the wrong deploy to be where it is wrong."""

    def strike(self, host: Host, deploy: Deploy) -> bool:
        deadline = time.monotonic() + 30
        while host.read(MARK) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return super().strike(host, deploy)


class Waits(random.Random):
    """Chance that lets the operator wait for the host after the kill, and edit nothing more."""

    def random(self) -> float:
        return 0.4


@pytest.fixture(scope="module")
def loop(
    docker_client: DockerClient, login_key: SshKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Loop]:
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start("trixie")
        place = target.host_over_ssh("root")
        started = Loop(Host(target), place, tmp_path_factory.mktemp("judge"))
        started.begin()
        yield started


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return count(1)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_deploy_is_found_out(
    loop: Loop, numbers: Iterator[int], wrong: str, tmp_path: Path
) -> None:
    script, victim, findings = WRONG[wrong]
    deploy = tmp_path / "wrong.py"
    deploy.write_text(_SHELL.format(name=_NAME, script=script))
    number = next(numbers)
    wanted = Wanted(number, "cgroupfs" if number % 2 else "systemd")
    try:
        played = loop.play(wanted, AtMark(victim, _NAME, 0), Waits(), deploy, cri_seconds=1)
    finally:
        loop.host.target.sh(f"rm -f {_STAGED} {CONFIG}.kubenode-backup* {MARK}")
        state.begin(loop.host)
        loop.host.target.sh("systemctl restart containerd")
        loop.remember()
    for finding in findings:
        assert any(finding in fault for fault in played.faults), played.faults


def test_a_right_round_has_no_faults(loop: Loop, numbers: Iterator[int]) -> None:
    number = next(numbers)
    wanted = Wanted(number, "cgroupfs" if number % 2 else "systemd")
    played = loop.play(wanted, Kill("pyinfra KILL", _NAME, 0.0), Waits())
    assert played.killed
    assert played.faults == [], played.output
