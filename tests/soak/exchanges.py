"""Rounds in which containerd is exchanged for another one, and whoever does it is killed.

A host has six containerds to choose from: of the distribution's package, of a mirror of Docker's
and of release archives, an old one and a new one each. A pod runs wherever it may stay.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubenode.packages import archive_change
from kubenode.runtimes import program_change
from tests.conftest import ROOT
from tests.repositories import binaries, releases
from tests.repositories.apt import AptRepository
from tests.repositories.docker_mirror import DockerMirror
from tests.repositories.server import Server
from tests.soak.deploy import Deploy
from tests.soak.host import Host
from tests.soak.kill_round import CRI_SECONDS, Played, second_time, serves
from tests.soak.kills import Kill
from tests.targets.cri import CriError, Pod

OPERATION = "containerd is exchanged"
BEGUN = f"{program_change.DIRECTORY}/back.sh"
SETTLED_SECONDS = 240
"""How long a host may be at it after its controller has gone: a daemon's start and its return."""

DEPLOY = f"""\
from kubenode.operations import containerd
from pyinfra import host

for number in range(host.data.times):
    containerd.installed(name="{OPERATION}", **host.data.exchange)
"""

_RUNC = "/opt/kubenode-test/runc"
_PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc")

# what a host is, a line each: what is installed and held, and each program by each of its names
_LOOK = f"""
dpkg-query -W -f 'package ${{Package}} ${{Version}} ${{db:Status-Status}}\\n' \\
  containerd containerd.io runc 2>/dev/null | grep -v 'not-installed\\|config-files$'
apt-mark showhold | sed 's/^/held /'
dpkg --audit | sed 's/^/audit /'
for program in {" ".join(_PROGRAMS)}; do
  for place in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin; do
    [ -e $place/$program ] || [ -L $place/$program ] || continue
    sum=$(sha256sum $place/$program 2>/dev/null)
    echo "program $place/$program ${{sum:-leads nowhere}}"
  done
done
for unit in /usr/local/lib /usr/lib; do
  unit=$unit/systemd/system/containerd.service
  [ ! -e $unit ] || echo "unit $unit $(sha256sum <$unit)"
done
pid=$(systemctl show -P MainPID containerd); echo "daemon $(readlink /proc/$pid/exe)"
n=0
while systemctl -q is-active 'kubenode-change-*' && [ $n -lt 50 ]; do n=$((n + 1)); sleep 0.1; done
systemctl list-units --plain --no-legend --all 'kubenode-change-*' | sed 's/^/left unit /'
ls -A {program_change.DIRECTORY} 2>/dev/null | sed 's/^/left change of /'
find /usr/bin /usr/sbin /usr/local /usr/lib/systemd /etc /var/lib/kubenode {archive_change.STORE} \\
  \\( -name '.*.kubenode*' -o -name '*.dpkg-new' -o -name '*.dpkg-tmp' -o -name '*-unproven' \\) \\
  2>/dev/null | sed 's/^/left /'
"""


AFTER_KILL = "after the kill"


@dataclass(frozen=True)
class Kind:
    """A containerd that a host may have.

    + source: for messages
    + arguments: of ``containerd.installed``
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

    def keeps_pods(self, new: Kind) -> bool:
        """Whether pods may run while it is exchanged for a new one."""
        is_downgrade = self.version[0] == "2" and new.version[0] == "1"
        # a package takes its shim with it
        takes_shim = self.package is not None and new.package is None
        return not is_downgrade and not takes_shim


def kinds(server: Server, host: Host, old: str) -> list[Kind]:
    """Serve six of them, and let the host have no other source of packages.

    + server: what serves them, and nothing else
    + host: that is going to have them
    + old: the Debian release whose containerd is the older one

    The first has both releases, packages and archives.
    """
    suite = host.target.suite
    folder = server.folder
    mirror = DockerMirror(server, suite, [_SERIES[old], "2.1"])
    distribution = AptRepository(folder / "debian", suite, "main")
    debs = [binaries.plain(each, "containerd") for each in (old, "forky")]
    for deb in (*debs, binaries.plain(suite, "runc")):
        distribution.add(deb)
    distribution.publish(mirror.key)
    host.target.sh(
        "apt-get -qq update; apt-get -qq install -y --no-install-recommends wget >/dev/null"
    )
    host.target.sh("rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*")
    keyring = "/etc/apt/keyrings/tests.asc"
    host.target.write(keyring, mirror.key.public)
    host.target.write(
        "/etc/apt/sources.list.d/debian.sources",
        f"Types: deb\nURIs: {server.http}/debian\nSuites: {suite}\nComponents: main\n"
        f"Signed-By: {keyring}\n",
    )
    wrapper = releases.RUNC.read_text().replace("/usr/sbin/runc.real", _RUNC)
    (folder / "runc").write_text(wrapper)
    host.target.sh("mkdir -p /opt/kubenode-test")
    place = Path(f"/proc/{host.target.pid}/root{_RUNC}")
    place.write_bytes(releases.debians_runc(suite))
    place.chmod(0o755)
    docker = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in mirror.fields().items()
    }
    found = []
    for suite_of, series in ((old, _SERIES[old]), ("forky", "2.1")):
        # the file's name has an escape for what is in a version
        version = binaries.plain(suite_of, "containerd").name.split("_")[1].replace("%3a", ":")
        release = releases.of_debian(suite_of, folder)
        stated = releases.stated(release, server.http, folder / "runc")
        found.append(
            [
                Kind("distribution", {"version": version}, release.version, "containerd"),
                Kind("archive", {"source": stated}, release.version, None),
                Kind("docker", {"source": docker, "version": series}, release.version, _IO),
            ]
        )
    (debian_1, archive_1, docker_1), (debian_2, archive_2, docker_2) = found
    return [debian_1, docker_2, archive_1, archive_2, docker_1, debian_2]


_IO = "containerd.io"
_SERIES = {"bookworm": "1.6", "trixie": "1.7"}


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
    """A host whose containerd is exchanged again and again."""

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

    def begin(self) -> None:
        """Make it a node, and let it have each kind once."""
        self.folder.mkdir(exist_ok=True)
        first = self.kinds[0]
        data = {"kubenode_containerd_version": first.arguments["version"]}
        with self._started(ROOT / "deploy.py", data, "begin") as deploy:
            assert deploy.end() == 0, deploy.output
        self.now = first
        for kind in (*self.kinds[1:], first):
            code, output = self.rerun(kind)
            assert code == 0, output
            assert list(second_time(output, OPERATION)) == [], output
            assert serves(self.host, CRI_SECONDS), output
            self.now = kind
            self.clean[kind.name] = self.look()

    def look(self) -> Look:
        """What the host is now."""
        return Look(self.host.target.sh(_LOOK).splitlines())

    def next(self, chance: random.Random) -> Kind:
        """Another kind than the one that is there, and a pod where it may stay."""
        assert self.now is not None
        wanted = chance.choice([kind for kind in self.kinds if kind is not self.now])
        keeps = self.now.keeps_pods(wanted)
        if self.pod and not keeps:
            self.remove_pod()
        if keeps and self.pod is None and chance.random() < 0.8:
            self.run_pod()
        return wanted

    def run_pod(self) -> None:
        """Have a pod from now on."""
        self.host.target.import_pause_image()
        with self.host.target.cri() as cri:
            self.pod = cri.run_pod()
        self.process = self._process()

    def remove_pod(self) -> None:
        """Have none."""
        assert self.pod is not None
        with self.host.target.cri() as cri:
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
                faults += self._settled()
                faults += self.judge(AFTER_KILL, [old, wanted])
            elif code == 0 and kill.victim not in ("pyinfra INT", "containerd"):
                faults += self.judge("pyinfra reports success, and", [wanted])
        started = time.monotonic()
        code, output = self.rerun(wanted)
        seconds = time.monotonic() - started
        if code != 0:
            faults.append(f"the rerun fails with {code}")
        faults += second_time(output, OPERATION)
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
            deploy.write_text(DEPLOY)
        return self._started(deploy, {"exchange": dict(wanted.arguments), "times": times}, name)

    def _started(self, deploy: Path, data: Mapping[str, Any], name: str) -> Deploy:
        return Deploy(self.folder, deploy, (self.place[0], {**self.place[1], **data}), name)

    def _settled(self) -> Iterator[str]:
        """Wait until nobody on the host is at it any more."""
        # who ends a change looks once a second whether its shell is there
        time.sleep(1.5)
        script = (
            f"flock -w {SETTLED_SECONDS} /run/kubenode/lock true && "
            f'timeout {SETTLED_SECONDS} sh -c \'while pgrep -x "apt-get|dpkg" >/dev/null || '
            'systemctl -q is-active "kubenode-change-*"; do sleep 0.1; done\''
        )
        if self.host.target.try_sh(script)[0] != 0:
            yield f"the host is at it {SETTLED_SECONDS} s after the kill"

    def judge(self, when: str, allowed: list[Kind]) -> Iterator[str]:
        """What is wrong with a host that should be of one of these kinds, and serve."""
        if not serves(self.host, CRI_SECONDS):
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
            yield f"{when} containerd does not know that the pod runs"

    def _differences(self, look: Look, kind: Kind) -> Iterator[str]:
        clean = self.clean[kind.name]
        with self.host.target.cri() as cri:
            version = cri.version().removeprefix("v")
        if not version.startswith(kind.version):
            yield f"{kind.name}: CRI is of {version}"
        for word in ("package", "held", "unit", "daemon"):
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
            with self.host.target.cri() as cri:
                return cri.is_ready(self.pod)
        except CriError:
            return False


def _files(look: Look) -> list[str]:
    return [*look.of("program"), *look.of("unit")]
