"""Deploys are killed at any moment: files are old or new, CRI serves, a rerun converges."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import pytest

from tests.soak import kills, loops, rounds
from tests.soak.host import Host
from tests.soak.kill_round import Loop, Played
from tests.soak.kills import Kill
from tests.soak.rounds import Tally
from tests.soak.state import Wanted
from tests.targets.container import Target
from tests.targets.fleet import Fleet

pytestmark = [pytest.mark.targets, pytest.mark.soak]

KILLS = loops.count(8, 500)
INSTALLS_EVERY = 6


def test_killed_at_any_moment(targets: Fleet, tmp_path: Path) -> None:
    """On two hosts side by side, by SSH and by Docker."""
    hosts = [targets.start("trixie"), targets.start("bookworm")]
    rounds.side_by_side(
        "kills",
        KILLS,
        [
            partial(_go_round, target, over_ssh, tmp_path / target.suite)
            for target, over_ssh in zip(hosts, (True, False), strict=True)
        ],
    )


def _go_round(target: Target, over_ssh: bool, folder: Path, seed: int, kills: int) -> Tally:
    folder.mkdir()
    place = target.host_over_ssh("root") if over_ssh else target.host()
    loop = Loop(Host(target), place, folder)
    loop.begin()
    return rounds.go_round(target.suite, partial(_play, loop, over_ssh), kills, seed)


def _play(
    loop: Loop, over_ssh: bool, number: int, chance: random.Random
) -> tuple[Kill, Played]:  # fmt: skip
    kill = kills.choose(chance, over_ssh, over_ssh and number % INSTALLS_EVERY == 0)
    wanted = Wanted(number, "cgroupfs" if number % 2 else "systemd")
    return kill, loop.play(wanted, kill, chance)
