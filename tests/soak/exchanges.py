"""Rounds in which a runtime's program is exchanged for another one, and whoever does it is killed.

A host has a few kinds of it to choose from: of packages, of repositories and of release archives.
A pod runs wherever it may stay.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubenode.packages import archive_change
from kubenode.runtimes import program_change
from tests.conftest import ROOT
from tests.soak import kills, loops
from tests.soak.deploy import Deploy
from tests.soak.host import Host
from tests.soak.kill_round import CRI_SECONDS, Played, second_time, serves, settled
from tests.soak.kills import Kill
from tests.targets.cri import Cri, CriError, Pod

BEGUN = f"{program_change.DIRECTORY}/back.sh"

_DEPLOY = """\
from kubenode.operations import {module}
from pyinfra import host

for number in range(host.data.times):
    {module}.installed(name="{operation}", **host.data.exchange)
"""

# what a host is, a line each: what is installed and held, each program by each of its names, and
# each unit. A daemon that is older than the link to its program was not restarted for it.
_LOOK = """
dpkg-query -W -f 'package ${{Package}} ${{Version}} ${{db:Status-Status}}\\n' \\
  {packages} 2>/dev/null | grep -v 'not-installed\\|config-files$'
apt-mark showhold | sed 's/^/held /'
dpkg --audit | sed 's/^/audit /'
for program in {programs}; do
  for place in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin; do
    [ -e $place/$program ] || [ -L $place/$program ] || continue
    sum=$(sha256sum $place/$program 2>/dev/null)
    echo "program $place/$program ${{sum:-leads nowhere}}"
  done
done
for name in {units}; do
  for unit in /etc /usr/local/lib /usr/lib; do
    unit=$unit/systemd/system/$name
    [ ! -e $unit ] || echo "unit $unit $(sha256sum <$unit)"
  done
  echo "state $name $(systemctl is-active $name) $(systemctl is-enabled $name 2>&1)"
  pid=$(systemctl show -P MainPID $name); [ "${{pid:-0}}" != 0 ] || continue
  echo "daemon $(readlink /proc/$pid/exe)"
done
for each in {links}; do
  unit=${{each%=*}}; link=${{each#*=}}
  started=$(date -d "$(systemctl show -P ExecMainStartTimestamp $unit)" +%s)
  [ ! -L $link ] || [ "$started" -ge "$(stat -c %Y $link)" ] ||
    echo "left $unit is older than its program"
done
n=0
while systemctl -q is-active 'kubenode-change-*' && [ $n -lt 50 ]; do n=$((n + 1)); sleep 0.1; done
systemctl list-units --plain --no-legend --all 'kubenode-change-*' | sed 's/^/left unit /'
ls -A {change} 2>/dev/null | sed 's/^/left change of /'
find /usr/bin /usr/sbin /usr/local /usr/lib/systemd /etc /var/lib/kubenode {store} \\
  \\( -name '.*.kubenode*' -o -name '*.dpkg-new' -o -name '*.dpkg-tmp' -o -name '*-unproven' \\) \\
  2>/dev/null | sed 's/^/left /'
"""


AFTER_KILL = "after the kill"


@dataclass(frozen=True)
class Kind:
    """A program that a host may have.

    + source: for messages
    + arguments: of the operation that installs it
    + version: what CRI says, without what a distribution adds
    + package: that it comes in, None for an archive
    """

    source: str
    arguments: Mapping[str, Any]
    version: str
    package: str | None

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.source} {self.version}"


@dataclass(frozen=True)
class Subject:
    """Whose program is exchanged.

    + module: of ``kubenode.operations``, whose ``installed`` does it
    + socket: where it serves CRI
    + packages, programs, units: all that it may have
    + links: that lead to the build of an archive, by the unit that runs it
    + victims: who is killed beside those of each exchange
    + seconds: how long an exchange lasts, until it begins to change the host and from then on
    """

    module: str
    socket: str
    packages: Sequence[str]
    programs: Sequence[str]
    units: Sequence[str]
    links: Mapping[str, str] = field(default_factory=dict)
    victims: Sequence[str] = ()
    seconds: tuple[float, float] = (6.0, 6.0)

    @property
    def operation(self) -> str:
        """Its name."""
        return f"{self.module} is exchanged"

    @property
    def deploy(self) -> str:
        """What does it, as often as the host's data say."""
        return _DEPLOY.format(module=self.module, operation=self.operation)

    @property
    def look(self) -> str:
        """The script that tells what a host has."""
        return _LOOK.format(
            packages=" ".join(self.packages),
            programs=" ".join(self.programs),
            units=" ".join(self.units),
            links=" ".join(f"{unit}={link}" for unit, link in self.links.items()),
            change=program_change.DIRECTORY,
            store=archive_change.STORE,
        )

    def may_follow(self, old: Kind, new: Kind) -> bool:
        """Whether *new* may be asked for where *old* is: between them there is nothing else."""
        return old is not new

    def keeps_pods(self, old: Kind, new: Kind) -> bool:
        """Whether pods may run while that is done."""
        return False

    def has_packages(self, old: Kind, new: Kind) -> bool:
        """Whether a package comes or goes for that."""
        return old.package is not None or new.package is not None

    def lasts(self, old: Kind, new: Kind) -> tuple[float, float]:
        """How long that takes, as *seconds* has it."""
        return self.seconds

    def cri(self, host: Host) -> Cri:
        """A client of its CRI."""
        return host.target.cri(self.socket)

    def load_image(self, host: Host) -> None:
        """Have the image that pods need."""
        host.target.import_pause_image()


@dataclass
class Look:
    """What a host is at one moment."""

    lines: list[str]

    def of(self, word: str) -> list[str]:
        """The lines of a word, without it."""
        return [line.partition(" ")[2] for line in self.lines if line.startswith(f"{word} ")]

    def programs(self) -> dict[str, str]:
        """The sum of each program that is in PATH, by its path; the shim's is not of a kind alone:
        one stays for pods that were started with it."""
        found = dict(line.split()[:2] for line in self.of("program"))
        return {path: digest for path, digest in found.items() if "shim" not in path}


@dataclass
class Exchanges:
    """A host whose runtime's program is exchanged again and again."""

    subject: Subject
    host: Host
    place: tuple[str, dict[str, str]]
    """The host in an inventory."""
    folder: Path
    """Where inventories and deploys are written."""
    kinds: list[Kind]
    clean: dict[str, Look] = field(default_factory=dict)
    """What a host with each kind is, when nobody was killed."""
    now: Kind | None = None
    pod: Pod | None = None
    process: str = ""
    """The pod's."""

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Make it a node, and let it have each kind once.

        + settings: with which ``deploy.py`` gives it the first kind
        """
        self.folder.mkdir(exist_ok=True)
        first = self.kinds[0]
        with self._started(ROOT / "deploy.py", settings, "begin") as deploy:
            assert deploy.end() == 0, deploy.output
        self.now = first
        for kind in (*self.kinds[1:], first):
            code, output = self.rerun(kind)
            assert code == 0, output
            assert list(second_time(output, self.subject.operation)) == [], output
            assert self._serves(), output
            self.now = kind
            self.clean[kind.name] = self.look()

    def _serves(self) -> bool:
        return serves(self.host, CRI_SECONDS, self.subject.socket)

    def look(self) -> Look:
        """What the host is now."""
        return Look(self.host.target.sh(self.subject.look).splitlines())

    def next(self, chance: random.Random) -> Kind:
        """Another kind than the one that is there, and a pod where it may stay."""
        assert self.now is not None
        now, may_follow = self.now, self.subject.may_follow
        wanted = chance.choice([kind for kind in self.kinds if may_follow(now, kind)])
        keeps = self.subject.keeps_pods(now, wanted)
        if self.pod and not keeps:
            self.remove_pod()
        if keeps and self.pod is None and chance.random() < 0.8:
            self.run_pod()
        return wanted

    def run_pod(self) -> None:
        """Have a pod from now on."""
        self.subject.load_image(self.host)
        with self._cri() as cri:
            self.pod = cri.run_pod()
        self.process = self._process()

    def remove_pod(self) -> None:
        """Have none."""
        assert self.pod is not None
        with self._cri() as cri:
            cri.remove_pod(self.pod.id)
        self.pod = None

    def play(
        self, wanted: Kind, kill: Kill, chance: random.Random, wrong: Path | None = None
    ) -> Played:
        """One round.

        + wanted: the kind that the deploy is for
        + kill: what happens to it
        + chance: decides whether the operator waits for the host
        + wrong: a deploy that is wrong on purpose, instead of kubenode's
        """
        assert self.now is not None
        old, waits = self.now, chance.random() < 0.6
        faults: list[str] = []
        with self.exchange(wanted, 1, "killed", wrong) as deploy:
            killed = kill.strike(self.host, deploy)
            faults += self._halves("at once")
            code = deploy.end()
            if code is None:
                faults.append("pyinfra does not end")
            if waits:
                faults += settled(self.host)
                faults += self.judge(AFTER_KILL, [old, wanted])
            elif code == 0 and kill.victim not in ("pyinfra INT", "containerd"):
                faults += self.judge("pyinfra reports success, and", [wanted])
        started = time.monotonic()
        code, output = self.rerun(wanted)
        seconds = time.monotonic() - started
        if code != 0:
            faults.append(f"the rerun fails with {code}")
        faults += second_time(output, self.subject.operation)
        faults += self.judge("after the rerun", [wanted])
        self.now = wanted
        return Played(killed, faults, deploy.output + output, seconds)

    def rerun(self, wanted: Kind) -> tuple[int | None, str]:
        """What the operator does after a failure, and once more."""
        with self.exchange(wanted, 2, "rerun") as deploy:
            return deploy.end(), deploy.output

    def exchange(
        self, wanted: Kind, times: int, name: str, deploy: Path | None = None
    ) -> Deploy:  # fmt: skip
        """Start a deploy for a kind.

        + times: how often it does that
        + name: of its inventory
        + deploy: another one than kubenode's
        """
        if deploy is None:
            deploy = self.folder / "exchange.py"
            deploy.write_text(self.subject.deploy)
        return self._started(deploy, {"exchange": dict(wanted.arguments), "times": times}, name)

    def _started(self, deploy: Path, data: Mapping[str, Any], name: str) -> Deploy:
        return Deploy(self.folder, deploy, (self.place[0], {**self.place[1], **data}), name)

    def judge(self, when: str, allowed: list[Kind]) -> Iterator[str]:
        """What is wrong with a host that should be of one of these kinds, and serve."""
        if not self._serves():
            yield f"{when} CRI does not serve within {CRI_SECONDS:.0f} s"
            return
        look = self.look()
        told = ["; ".join(self._differences(look, kind)) for kind in allowed]
        if all(told):
            yield f"{when} the host is of no kind that it may be: {' OR '.join(told)}"
        yield from self._halves(when, look)
        for word in ("left", "audit"):
            for line in look.of(word):
                # what was staged by a run that was killed is the next run's to remove
                if when == AFTER_KILL and re.search(r"/\.[^/]+\.kubenode\.\d+$", line):
                    continue
                yield f"{when} {word}: {line}"
        if self.pod and self._process() != self.process:
            yield f"{when} the pod's process is {self._process() or 'gone'}, was {self.process}"
        elif self.pod and not self._knows_pod():
            yield f"{when} CRI does not know that the pod runs"

    def _differences(self, look: Look, kind: Kind) -> Iterator[str]:
        clean = self.clean[kind.name]
        with self._cri() as cri:
            version = cri.version().removeprefix("v")
        if not version.startswith(kind.version):
            yield f"{kind.name}: CRI is of {version}"
        for word in ("package", "held", "unit", "state", "daemon"):
            if look.of(word) != clean.of(word):
                yield f"{kind.name}: {word} {look.of(word)}, not {clean.of(word)}"
        if look.programs() != clean.programs():
            yield f"{kind.name}: programs {look.programs()}, not {clean.programs()}"

    def _halves(self, when: str, look: Look | None = None) -> Iterator[str]:
        """Programs and units that no kind has ever had."""
        known = {line.split()[1] for each in self.clean.values() for line in _files(each)}
        for line in _files(look or self.look()):
            path, digest = line.split()[:2]
            if digest not in known and re.fullmatch("[0-9a-f]{64}", digest):
                yield f"{when} {path} is nothing that it ever was whole"

    def _cri(self) -> Cri:
        return self.subject.cri(self.host)

    def _process(self) -> str:
        assert self.pod is not None
        found = self.host.target.sh(
            f"for each in /proc/[0-9]*; do grep -qs {self.pod.id} $each/cgroup && "
            "cut -d' ' -f 1,22 $each/stat; done; :"
        )
        return found.strip()

    def _knows_pod(self) -> bool:
        assert self.pod is not None
        try:
            with self._cri() as cri:
                return cri.is_ready(self.pod)
        except CriError:
            return False


def _files(look: Look) -> list[str]:
    return [*look.of("program"), *look.of("unit")]


def play(
    loop: Exchanges, over_ssh: bool, number: int, chance: random.Random
) -> tuple[Kill, Played]:  # fmt: skip
    """A round of a host that goes round: to another kind, with a kill that chance chooses.

    + loop: the host
    + over_ssh: whether it is reached by SSH
    + number: of the round
    + chance: where all choices come from
    """
    old = loop.now
    wanted = loop.next(chance)
    assert old is not None
    kill = kills.choose_exchange(
        chance,
        over_ssh,
        loop.subject.operation,
        loop.subject.has_packages(old, wanted),
        BEGUN,
        loop.subject.lasts(old, wanted),
        loop.subject.victims,
    )
    pod = "with a pod" if loop.pod else "without pods"
    loops.say(f"{loop.host.target.suite} {number}: {old.name} -> {wanted.name} {pod}; {kill}")
    return kill, loop.play(wanted, kill, chance)
