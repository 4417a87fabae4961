"""Exchanges of containerd are killed at any moment: one of the two serves, a rerun converges."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import pytest
from docker import DockerClient

from tests.repositories.server import Server, gateway
from tests.soak import exchanges, kills, loops, rounds
from tests.soak.exchanges import Exchanges
from tests.soak.host import Host
from tests.soak.kill_round import Played
from tests.soak.kills import Kill
from tests.soak.rounds import Tally
from tests.targets.container import Target
from tests.targets.fleet import Fleet

pytestmark = [pytest.mark.targets, pytest.mark.soak]

KILLS = loops.count(10, 200)


def test_an_exchange_is_killed_at_any_moment(
    targets: Fleet, docker_client: DockerClient, tmp_path: Path
) -> None:
    """On two hosts side by side: Debian 13 by SSH, Debian 12 by Docker, from 1.6 on."""
    address = gateway(docker_client)
    rounds.side_by_side(
        "exchanges",
        KILLS,
        [
            partial(_go_round, targets.start(suite), over_ssh, tmp_path / suite, address)
            for suite, over_ssh in (("trixie", True), ("bookworm", False))
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
        loop = Exchanges(host, place, folder, exchanges.kinds(server, host, target.suite))
        loop.begin()
        return rounds.go_round(target.suite, partial(_play, loop, over_ssh), kills, seed)


def _play(
    loop: Exchanges, over_ssh: bool, number: int, chance: random.Random
) -> tuple[Kill, Played]:  # fmt: skip
    old = loop.now
    wanted = loop.next(chance)
    assert old is not None
    kill = kills.choose_exchange(
        chance,
        over_ssh,
        exchanges.OPERATION,
        old.package is not None or wanted.package is not None,
        exchanges.BEGUN,
    )
    pod = "with a pod" if loop.pod else "without pods"
    loops.say(f"{loop.host.target.suite} {number}: {old.name} -> {wanted.name} {pod}; {kill}")
    return kill, loop.play(wanted, kill, chance)
