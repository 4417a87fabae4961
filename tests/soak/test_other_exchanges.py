"""Exchanges of Docker Engine, cri-dockerd and CRI-O are killed at any moment.

The old one serves or the new one, whole, and a rerun converges.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from docker import DockerClient

from tests.repositories.server import Server, gateway
from tests.soak import exchanges, loops, other_kinds, rounds
from tests.soak.exchanges import Exchanges
from tests.soak.host import Host
from tests.soak.rounds import Tally
from tests.soak.test_exchange_loop import found_in_a_wrong_round
from tests.soak.test_judge import MARK, NOW
from tests.targets.container import Target
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = pytest.mark.targets

KILLS = loops.count(2, 120)
# what is exchanged, and whether by SSH. Docker Engine's kinds take minutes before the first kill
HOSTS = loops.choice(
    [("crio packages", True)],
    [("docker", True), ("docker", False), ("crio packages", True), ("crio bundles", False)],
)


@pytest.mark.soak
def test_an_exchange_of_another_runtime_is_killed_at_any_moment(
    targets: Fleet, docker_client: DockerClient, tmp_path: Path
) -> None:
    """On hosts side by side, by SSH and by Docker."""
    address = gateway(docker_client)
    rounds.side_by_side(
        "other-exchanges",
        KILLS,
        [
            partial(
                _go_round,
                other_kinds.started(targets, name),
                (name, over_ssh),
                tmp_path / str(number),
                address,
            )
            for number, (name, over_ssh) in enumerate(HOSTS)
        ],
    )


def _go_round(
    target: Target, how: tuple[str, bool], folder: Path, address: str, seed: int, kills: int
) -> Tally:
    name, over_ssh = how
    served = folder / "served"
    served.mkdir(parents=True)
    with Server(served, address) as server:
        loop = _begun(target, server, name, folder, over_ssh)
        said = f"{name} by {'SSH' if over_ssh else 'Docker'}"
        return rounds.go_round(said, partial(exchanges.play, loop, over_ssh), kills, seed)


def _begun(target: Target, server: Server, name: str, folder: Path, over_ssh: bool) -> Exchanges:
    host = Host(target)
    loop = other_kinds.LOOPS[name](server, host)
    place = target.host_over_ssh("root") if over_ssh else target.host()
    begun = Exchanges(loop.subject, host, place, folder, list(loop.kinds))
    begun.begin(loop.settings)
    return begun


# ---- Control


@pytest.fixture(scope="module")
def node(
    docker_client: DockerClient, login_key: SshKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exchanges]:
    folder = tmp_path_factory.mktemp("exchanges")
    served = folder / "served"
    served.mkdir()
    with Fleet(docker_client, login_key) as fleet, Server(served, gateway(docker_client)) as server:
        yield _begun(
            other_kinds.started(fleet, "crio packages"), server, "crio packages", folder, True
        )


# a deploy, who is killed in it, and what must be said of the round
WRONG = {
    "half a program, and the unit starts at no boot": (
        f"cp -p /usr/bin/crio /root/crio; head -c 1000 /root/crio >/usr/bin/crio; "
        f"systemctl disable crio; {NOW}",
        "remote shell",
        [
            "at once /usr/bin/crio is nothing that it ever was",
            "state ['crio.service active disabled']",
        ],
    ),
    "no hold, a link of another build, and what was staged": (
        "apt-mark unhold cri-o; mkdir -p /usr/local/lib/kubenode/crio; "
        "ln -s 1.36.3 /usr/local/lib/kubenode/crio/current; touch /usr/bin/.crio.kubenode.1; "
        f"{NOW}",
        "pyinfra KILL",
        [
            "held [], not ['cri-o']",
            "left: crio.service is older than its program",
            "left: /usr/bin/.crio.kubenode.1",
        ],
    ),
}
_RIGHT = f"""
[ ! -e /root/crio ] || mv -f /root/crio /usr/bin/crio
rm -rf /usr/local/lib/kubenode/crio /usr/bin/.crio.kubenode.1 {MARK}
systemctl enable crio; apt-mark hold cri-o
"""


@pytest.mark.soak
@pytest.mark.skipif(not loops.is_soak(), reason="the judge has its controls in test_exchange_loop")
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_exchange_of_another_runtime_is_found_out(
    node: Exchanges, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: the judge finds what is wrong after exchanges that are wrong on purpose."""
    script, victim, findings = WRONG[wrong]
    found = found_in_a_wrong_round(node, (script, victim, True), _RIGHT, tmp_path, monkeypatch)
    for finding in findings:
        assert any(finding in fault for fault in found), found
