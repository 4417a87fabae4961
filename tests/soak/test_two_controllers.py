"""Two controllers deploy to one host at once: one waits for the other, and nothing is mixed."""

from __future__ import annotations

import random
import re
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from docker import DockerClient

from tests.conftest import ROOT
from tests.soak import loops, state
from tests.soak.deploy import Deploy
from tests.soak.host import Host
from tests.soak.kill_round import Loop
from tests.soak.state import CONTAINERD_FILES, SYSCTL_FILES, Wanted
from tests.targets.fleet import Fleet
from tests.targets.ssh_key import SshKey

pytestmark = [pytest.mark.targets, pytest.mark.soak]

ROUNDS = loops.count(4, 100)
MOST_FAULTY_ROUNDS = 5
# seconds between the two starts: together, and with one in the middle of the other
MOST_APART = 1.0

# why a run may fail: it says who was there before it, or that what it had read is no longer so
EXCUSE = re.compile(r"\block(ed|s)?\b|meanwhile|another (run|controller)|run again", re.IGNORECASE)

Judge = Callable[[Host, Wanted], Iterator[str]]

PARTS: Mapping[str, tuple[tuple[str, ...], Judge]] = {
    "containerd": (CONTAINERD_FILES, state.containerd_differences),
    "sysctls": (SYSCTL_FILES, state.sysctl_differences),
}


# both claim what they do not do: the two files of containerd have the two drivers, one each
_MIXING = f"""\
from pyinfra import host
from pyinfra.operations import server

right = str(host.data.kubenode_cgroup_driver == "systemd").lower()
wrong = str(host.data.kubenode_cgroup_driver != "systemd").lower()
server.shell(
    commands=[
        f"sed -i 's/SystemdCgroup = .*/SystemdCgroup = {{right}}/' {CONTAINERD_FILES[0]}",
        f"sed -i 's/SystemdCgroup = .*/SystemdCgroup = {{wrong}}/' {CONTAINERD_FILES[1]}",
    ]
)
"""


@pytest.fixture(scope="module")
def race(
    docker_client: DockerClient, login_key: SshKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Loop]]:
    """Two ways to one host: by SSH and by Docker."""
    with Fleet(docker_client, login_key) as fleet:
        target = fleet.start("forky")
        host = Host(target)
        loops = [
            Loop(host, place, tmp_path_factory.mktemp("race"))
            for place in (target.host_over_ssh("root"), target.host())
        ]
        loops[0].begin()
        yield loops


def test_two_controllers_with_different_wishes(race: list[Loop]) -> None:
    """One of the two, as chance will have it, then runs once more, alone."""
    seed = loops.seed()
    started = time.monotonic()
    chance = random.Random(seed)
    faulty = []
    excused = 0
    rounds = 0
    for rounds in range(1, ROUNDS + 1):
        first, second = Wanted(2 * rounds, "systemd"), Wanted(2 * rounds + 1, "cgroupfs")
        apart = chance.choice([0.0, chance.uniform(0, MOST_APART)])
        faults, excuses, output = _race(race, (first, second), apart, chance)
        excused += excuses
        if faults:
            words = f"round {rounds}, {apart:.2f} s apart\n  " + "\n  ".join(faults)
            faulty.append(f"{words}\n{output}")
            loops.say(words)
        if rounds % 10 == 0:
            loops.say(f"two controllers: {rounds} of {ROUNDS} rounds, seed {seed}")
        if len(faulty) >= MOST_FAULTY_ROUNDS:
            break
    loops.record(
        "two-controllers",
        rounds=rounds,
        faulty=len(faulty),
        refused=excused,
        minutes=round((time.monotonic() - started) / 60, 1),
        seed=seed,
    )
    assert not faulty, f"seed {seed}:\n" + "\n\n".join(faulty)


def test_what_is_mixed_is_found_out(race: list[Loop], tmp_path: Path) -> None:
    """Control: two deploys that are wrong on purpose."""
    mixing = tmp_path / "mixing.py"
    mixing.write_text(_MIXING)
    wishes = Wanted(9000, "systemd"), Wanted(9001, "cgroupfs")
    faults = "\n".join(_race(race, wishes, 0, random.Random(1), mixing)[0])
    assert faults.count("reports success, and its value was never on disk") == 2, faults
    assert "containerd: /etc/containerd/config.toml, " in faults
    assert "sysctls: /etc/sysctl.d/k8s.conf, " in faults
    assert "the kernel has " in faults
    assert "after the rerun" not in faults


def _race(
    race: list[Loop],
    wishes: tuple[Wanted, Wanted],
    apart: float,
    chance: random.Random,
    deploy: Path = ROOT / "deploy.py",
) -> tuple[list[str], int, str]:
    """The faults of one round, how many runs were refused with a reason, and all output."""
    host = race[0].host
    state.edit(host, chance, wishes[0].number)
    with (
        host.watched(CONTAINERD_FILES) as seen,
        race[0].deploy(wishes[0], "race", deploy) as one,
        _later(race[1], wishes[1], deploy, apart) as other,
    ):
        codes = [one.end(), other.end()]
        outputs = [one.output, other.output]
    faults = []
    excuses = 0
    for wanted, code, output in zip(wishes, codes, outputs, strict=True):
        if code == 0 and not _was_there(seen, wanted):
            faults.append(f"{wanted} reports success, and its value was never on disk")
        elif code != 0 and EXCUSE.search(output):
            excuses += 1
        elif code != 0:
            faults.append(f"{wanted} fails with {code}, and does not say that it was not alone")
    winners = [wanted for wanted, code in zip(wishes, codes, strict=True) if code == 0]
    if not winners:
        faults.append("both failed")
    for name, (files, judge) in PARTS.items():
        differences = [list(judge(host, wanted)) for wanted in winners]
        if winners and all(differences):
            told = "; ".join(differences[0])
            faults.append(f"{name}: {', '.join(files)} are of no controller that succeeded: {told}")
    live = state.live_seconds(host)
    if winners and not any(
        live == wanted.seconds and not list(state.sysctl_differences(host, wanted))
        for wanted in winners
    ):
        faults.append(f"the kernel has {live} for the sysctl, and another value for the next boot")
    if winners and all(list(_runtime(host, wanted)) for wanted in winners):
        faults.append("containerd does not run with what its files say")
    # what the operator wants in the end, without a conflict
    last = chance.choice(wishes)
    code, output = race[0].rerun(last, f"after-{wishes[0].number}")
    if code != 0:
        faults.append(f"the rerun fails with {code}")
    else:
        faults += [f"after the rerun {difference}" for difference in state.differences(host, last)]
    faults += _broken_backups(host)
    faults += race[0].left_behind()
    return faults, excuses, "\n".join([*outputs, output])


def _later(loop: Loop, wanted: Wanted, deploy: Path, seconds: float) -> Deploy:
    time.sleep(seconds)
    return loop.deploy(wanted, "race", deploy)


def _broken_backups(host: Host) -> Iterator[str]:
    for name in host.names("/etc/containerd"):
        if ".kubenode-backup" not in name:
            continue
        text = (host.read(name) or b"").decode(errors="replace")
        try:
            whole = "version" in tomllib.loads(text) and text.endswith("\n")
        except ValueError:
            whole = False
        if not whole:
            yield f"{name} is not whole"


def _was_there(seen: Mapping[str, set[bytes | None]], wanted: Wanted) -> bool:
    texts = [text for contents in seen.values() for text in contents if text]
    return any(f'"{wanted.pause_image}"'.encode() in text for text in texts)


def _runtime(host: Host, wanted: Wanted) -> Iterator[str]:
    yield from state.containerd_differences(host, wanted)
    yield from state.runtime_differences(host, wanted)
