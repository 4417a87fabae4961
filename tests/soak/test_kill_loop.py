"""Deploys are killed at any moment: files are old or new, CRI serves, a rerun converges."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.soak import kills, loops
from tests.soak.host import Host
from tests.soak.kill_round import Loop
from tests.soak.state import Wanted
from tests.targets.fleet import Fleet

pytestmark = [pytest.mark.targets, pytest.mark.soak]

KILLS = loops.count(12, 500)
# a kill may come when nobody is left to be killed; that is not counted, and bounded
ROUNDS = 2 * KILLS
INSTALLS_EVERY = 6
MOST_FAULTY_ROUNDS = 5


class Tally:
    """The rounds of one host."""

    def __init__(self) -> None:
        self.killed: dict[str, int] = {}
        self.rounds = 0
        self.longest_rerun = 0.0
        self.faulty: list[str] = []

    @property
    def kills(self) -> int:
        return sum(self.killed.values())


def test_killed_at_any_moment(targets: Fleet, tmp_path: Path) -> None:
    """On two hosts side by side, by SSH and by Docker."""
    seed = loops.seed()
    started = time.monotonic()
    hosts = [targets.start("trixie"), targets.start("bookworm")]
    tallies = []
    with ThreadPoolExecutor(len(hosts)) as pool:
        for future in [
            pool.submit(_go_round, Host(target), over_ssh, seed, tmp_path / target.suite)
            for target, over_ssh in zip(hosts, (True, False), strict=True)
        ]:
            tallies.append(future.result())
    victims: dict[str, int] = {}
    for tally in tallies:
        for victim, count in tally.killed.items():
            victims[victim] = victims.get(victim, 0) + count
    faulty = [fault for tally in tallies for fault in tally.faulty]
    loops.record(
        "kills",
        kills=sum(tally.kills for tally in tallies),
        rounds=sum(tally.rounds for tally in tallies),
        faulty=len(faulty),
        longest_rerun_seconds=round(max(tally.longest_rerun for tally in tallies), 1),
        minutes=round((time.monotonic() - started) / 60, 1),
        seed=seed,
        victims=", ".join(f"{victim} {count}" for victim, count in sorted(victims.items())),
    )
    assert not faulty, f"seed {seed}:\n" + "\n\n".join(faulty)
    assert sum(tally.kills for tally in tallies) >= KILLS


def _go_round(host: Host, over_ssh: bool, seed: int, folder: Path) -> Tally:
    folder.mkdir()
    chance = random.Random(f"{seed} {host.target.suite}")
    place = host.target.host_over_ssh("root") if over_ssh else host.target.host()
    loop = Loop(host, place, folder)
    loop.begin()
    tally = Tally()
    mine = KILLS // 2
    for number in range(1, ROUNDS // 2 + 1):
        installs = over_ssh and number % INSTALLS_EVERY == 0
        kill = kills.choose(chance, over_ssh, installs)
        wanted = Wanted(number, "cgroupfs" if number % 2 else "systemd")
        # each round has its own, so that a round's choices do not depend on the one before
        played = loop.play(wanted, kill, random.Random(chance.random()))
        tally.rounds += 1
        if played.killed:
            tally.killed[kill.victim] = tally.killed.get(kill.victim, 0) + 1
        tally.longest_rerun = max(tally.longest_rerun, played.rerun_seconds)
        if played.faults:
            faults = "\n  ".join(played.faults)
            words = f"{host.target.suite}, round {number}: {kill}\n  {faults}"
            tally.faulty.append(f"{words}\n{played.output}")
            loops.say(words)
        if tally.kills % 10 == 0 and played.killed:
            loops.say(f"{host.target.suite}: {tally.kills} of {mine} kills, seed {seed}")
        if tally.kills >= mine or len(tally.faulty) >= MOST_FAULTY_ROUNDS:
            break
    return tally
