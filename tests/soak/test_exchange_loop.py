"""Exchanges of containerd are killed at any moment: one of the two serves, a rerun converges."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from docker import DockerClient

from tests.repositories.server import Server, gateway
from tests.soak import containerd_kinds, exchanges, loops, rounds
from tests.soak.containerd_kinds import CONTAINERD
from tests.soak.exchanges import Exchanges
from tests.soak.host import Host
from tests.soak.rounds import Tally
from tests.soak.test_judge import MARK, NOW, AtMark
from tests.soak.test_two_controllers import EXCUSE
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

KILLS = loops.count(4, 200)
# an old and a new one of packages, and an archive; or all
KINDS = loops.count(3, 6)
# suite, and whether by SSH; one goes from 1.6 to 2.1
HOSTS = loops.choice(
    [("bookworm", True)],
    [("trixie", True), ("bookworm", False), ("trixie", False), ("bookworm", True)],
)


@pytest.mark.soak
def test_an_exchange_is_killed_at_any_moment(
    targets: Fleet, docker_client: DockerClient, tmp_path: Path
) -> None:
    """On hosts side by side: Debian 12, which begins with 1.6, and Debian 13; by SSH, by Docker."""
    address = gateway(docker_client)
    rounds.side_by_side(
        "exchanges",
        KILLS,
        [
            partial(_go_round, targets.start(suite), over_ssh, tmp_path / str(number), address)
            for number, (suite, over_ssh) in enumerate(HOSTS)
        ],
    )


def _go_round(
    target: Target, over_ssh: bool, folder: Path, address: str, seed: int, kills: int
) -> Tally:
    served = folder / "served"
    served.mkdir(parents=True)
    with Server(served, address) as server:
        host = Host(target)
        place = target.host_over_ssh("root") if over_ssh else target.host()
        kinds = containerd_kinds.kinds(server, host, target.suite)[:KINDS]
        loop = Exchanges(CONTAINERD, host, place, folder, kinds)
        loop.begin(containerd_kinds.settings(kinds[0]))
        name = f"{target.suite} by {'SSH' if over_ssh else 'Docker'}"
        return rounds.go_round(name, partial(exchanges.play, loop, over_ssh), kills, seed)


# ---- Two controllers, and controls

RACES = loops.count(1, 10)
# seconds between the two starts, at most
MOST_APART = 5.0


@pytest.fixture(scope="module")
def node(
    docker_client: DockerClient, login_key: SshKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exchanges]:
    folder = tmp_path_factory.mktemp("exchanges")
    served = folder / "served"
    served.mkdir()
    with Fleet(docker_client, login_key) as fleet, Server(served, gateway(docker_client)) as server:
        host = Host(fleet.start("trixie"))
        kinds = containerd_kinds.kinds(server, host, "trixie")[:3]
        started = Exchanges(CONTAINERD, host, host.target.host_over_ssh("root"), folder, kinds)
        started.begin(containerd_kinds.settings(kinds[0]))
        yield started


@pytest.mark.soak
def test_two_controllers_want_two_containerds(node: Exchanges, tmp_path: Path) -> None:
    """One waits, or fails and says why; the host is whole, of one that succeeded."""
    seed = loops.seed()
    chance = random.Random(seed)
    other = replace(node, place=node.host.target.host(), folder=tmp_path)
    refused, faults = 0, list[str]()
    for number in range(1, RACES + 1):
        wishes = chance.sample([kind for kind in node.kinds if kind is not node.now], 2)
        with node.exchange(wishes[0], 1, f"one-{number}") as one:
            time.sleep(chance.choice([0, chance.uniform(0, MOST_APART)]))
            with other.exchange(wishes[1], 1, f"other-{number}") as two:
                codes = [one.end(), two.end()]
                outputs = [one.output, two.output]
        found = []
        for wish, code, output in zip(wishes, codes, outputs, strict=True):
            if code != 0 and EXCUSE.search(output):
                refused += 1
            elif code != 0:
                found.append(f"{wish.name} fails with {code}, and does not say it was not alone")
        winners = [wish for wish, code in zip(wishes, codes, strict=True) if code == 0]
        found += node.judge("after both", winners) if winners else ["both failed"]
        code, output = node.rerun(wishes[0])
        if code != 0:
            found.append(f"the rerun fails with {code}")
        found += node.judge("after the rerun", [wishes[0]])
        node.now = wishes[0]
        if found:
            words = "\n  ".join([f"race {number}: {[wish.name for wish in wishes]}", *found])
            loops.say(words)
            faults.append("\n".join([words, *outputs, output]))
    loops.record("two-containerds", races=RACES, faulty=len(faults), refused=refused, seed=seed)
    assert not faults, f"seed {seed}:\n" + "\n\n".join(faults)


_SHELL = """\
from pyinfra.operations import server

server.shell(name={name!r}, commands=[{script!r}])
"""

# a deploy, who is killed in it, whether the operator waits, and what must be said of the round
WRONG = {
    "it stops the runtime, and leaves half a program": (
        "cp -p /usr/bin/ctr /root/ctr; systemctl stop containerd; "
        f"head -c 1000 /root/ctr >/usr/bin/ctr; {NOW}",
        "remote shell",
        True,
        ["at once /usr/bin/ctr is nothing that it ever was", "after the kill CRI does not serve"],
    ),
    "it leaves what shadows and what was staged, and no hold": (
        "cp /bin/true /usr/local/sbin/runc; touch /usr/bin/.ctr.kubenode.1; "
        f"apt-mark unhold containerd; {NOW}",
        "pyinfra KILL",
        True,
        ["/usr/local/sbin/runc", "held [], not ['containerd']", "left: /usr/bin/.ctr.kubenode.1"],
    ),
    "it ends the pod, and says that all is well": (
        "for each in /proc/[0-9]*; do grep -qs kubepods $each/cgroup && "
        f"kill -9 ${{each#/proc/}}; done; touch {MARK}",
        "containerd restarts",
        False,
        ["pyinfra reports success, and the host is of no kind", "the pod's process is gone"],
    ),
}
_RIGHT = f"""
[ ! -e /root/ctr ] || mv -f /root/ctr /usr/bin/ctr
[ -L /usr/local/sbin/runc ] || rm -f /usr/local/sbin/runc
rm -f /usr/bin/.ctr.kubenode.1 {MARK}; systemctl start containerd; apt-mark hold containerd
"""


class _Chance(random.Random):
    def __init__(self, waits: bool) -> None:
        super().__init__()
        self._waits = waits

    def random(self) -> float:
        return 0.0 if self._waits else 0.99


def found_in_a_wrong_round(
    node: Exchanges,
    wrong: tuple[str, str, bool],
    right: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> list[str]:
    """What the judge says of a round whose deploy is wrong on purpose.

    + node: which has its first kind afterwards, as before
    + wrong: what the deploy runs, who is killed then, and whether the operator waits
    + right: what puts right what it has done
    + folder: for the deploy
    + monkeypatch: pytest's
    """
    script, victim, waits = wrong
    monkeypatch.setattr(exchanges, "CRI_SECONDS", 2)
    first, wanted, *_ = node.kinds
    deploy = folder / "wrong.py"
    deploy.write_text(_SHELL.format(name=node.subject.operation, script=script))
    # what is right comes only when all was judged
    monkeypatch.setattr(Exchanges, "rerun", lambda *_: (1, ""))
    try:
        kill = AtMark(victim, node.subject.operation, 0)
        return node.play(wanted, kill, _Chance(waits), deploy).faults
    finally:
        monkeypatch.undo()
        node.now = first
        node.host.target.sh(right)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_exchange_is_found_out(
    node: Exchanges, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: the judge finds what is wrong after exchanges that are wrong on purpose."""
    script, victim, waits, findings = WRONG[wrong]
    first = node.kinds[0]
    assert node.rerun(first)[0] == 0
    node.now = first
    node.run_pod()
    try:
        found = found_in_a_wrong_round(node, (script, victim, waits), _RIGHT, tmp_path, monkeypatch)
    finally:
        node.remove_pod()
    for finding in findings:
        assert any(finding in fault for fault in found), found
