"""Rounds on hosts side by side until there are enough kills, and what they came to."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.soak import loops
from tests.soak.kill_round import Played
from tests.soak.kills import Kill

MOST_FAULTY_ROUNDS = 5

Round = Callable[[int, random.Random], tuple[Kill, Played]]
"""Plays a round of a number; all that it chooses is from its own chance."""


@dataclass
class Tally:
    """The rounds of one host."""

    killed: dict[str, int] = field(default_factory=dict)
    """How often, by victim."""
    rounds: int = 0
    longest_rerun: float = 0.0
    faulty: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """How many there were."""
        return sum(self.killed.values())


def go_round(name: str, play: Round, kills: int, seed: int) -> Tally:
    """Play until there were so many kills, or too many faults; at most twice as many rounds.

    + name: of the host, for messages
    + play: one round
    + kills: a kill may come when nobody is left to be killed; that is not counted
    + seed: of the run
    """
    chance = random.Random(f"{seed} {name}")
    tally = Tally()
    # of a few kills many may come when nobody is left
    for number in range(1, max(2 * kills, kills + 24) + 1):
        # each round has its own, so that a round's choices do not depend on the one before
        kill, played = play(number, random.Random(chance.random()))
        tally.rounds += 1
        if played.killed:
            tally.killed[kill.victim] = tally.killed.get(kill.victim, 0) + 1
        tally.longest_rerun = max(tally.longest_rerun, played.rerun_seconds)
        if played.faults:
            faults = "\n  ".join(played.faults)
            words = f"{name}, round {number}: {kill}\n  {faults}"
            tally.faulty.append(f"{words}\n{played.output}")
            loops.say(words)
        if tally.kills % 10 == 0 and played.killed:
            loops.say(f"{name}: {tally.kills} of {kills} kills, seed {seed}")
        if tally.kills >= kills or len(tally.faulty) >= MOST_FAULTY_ROUNDS:
            break
    return tally


def side_by_side(loop: str, kills: int, hosts: Sequence[Callable[[int, int], Tally]]) -> None:
    """Let hosts go round at once, record what it came to, and fail where there was a fault.

    + loop: its name for :func:`loops.record`
    + kills: of all hosts
    + hosts: each gets the seed and its share of the kills
    """
    seed = loops.seed()
    started = time.monotonic()
    with ThreadPoolExecutor(len(hosts)) as pool:
        futures = [pool.submit(host, seed, kills // len(hosts)) for host in hosts]
        tallies = [future.result() for future in futures]
    victims: dict[str, int] = {}
    for tally in tallies:
        for victim, count in tally.killed.items():
            victims[victim] = victims.get(victim, 0) + count
    faulty = [fault for tally in tallies for fault in tally.faulty]
    loops.record(
        loop,
        kills=sum(tally.kills for tally in tallies),
        rounds=sum(tally.rounds for tally in tallies),
        faulty=len(faulty),
        longest_rerun_seconds=round(max(tally.longest_rerun for tally in tallies), 1),
        minutes=round((time.monotonic() - started) / 60, 1),
        seed=seed,
        victims=", ".join(f"{victim} {count}" for victim, count in sorted(victims.items())),
    )
    assert not faulty, f"seed {seed}:\n" + "\n\n".join(faulty)
    assert sum(tally.kills for tally in tallies) >= kills
