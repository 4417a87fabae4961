"""A round of the kill loop: an edit, a deploy that is killed, the judge, a rerun, the judge."""

from __future__ import annotations

import random
import re
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import ROOT
from tests.soak import state
from tests.soak.deploy import Deploy
from tests.soak.host import File, Host
from tests.soak.kills import INSTALLING, Kill
from tests.soak.state import CONTAINERD_FILES, FILES, Wanted
from tests.targets.cri import CriError

CRI_SECONDS = 75.0
"""How long the runtime may be away after a kill: a rollback waits for it itself, 60 s at most."""

_SETTLED_SECONDS = 240
"""How long a host may be at it after its controller has gone: a daemon's start and its return."""

# the rerun proves convergence and, by a second time in one process, that nothing is left to do
_TWICE = "from kubenode.node import prepare\n\nprepare()\nprepare()\n"

# a backup has a name of its own, which the next run keeps; a part of one is none
_BACKUP = re.compile(r"\.kubenode-backup[^/]*(?<!\.part)(?<!\.tmp)$")
_CRI_SOCKET = "/run/containerd/containerd.sock"


@dataclass
class Played:
    """What came of a round."""

    killed: bool
    """False: there was nobody to be killed at that moment."""
    faults: list[str]
    output: str
    """Of both runs."""
    rerun_seconds: float = 0.0


@dataclass
class Loop:
    """A host that is made a node again and again."""

    host: Host
    place: tuple[str, dict[str, str]]
    """The host in an inventory."""
    folder: Path
    """Where inventories and deploys are written."""
    known: dict[str, set[bytes]] = field(default_factory=lambda: {path: set() for path in FILES})
    """What each file has been, whole."""
    names: set[str] = field(default_factory=set)
    """The files there are between two rounds."""

    def begin(self) -> None:
        """Make the host a node of this loop's kind."""
        wanted = Wanted(0, "systemd")
        code, output = self.run(wanted, "install", ROOT / "deploy.py")
        assert code == 0, output
        # what the package's own files were is not known here, and a first backup may stay for good
        self.host.target.sh("find /etc -name '*.kubenode-backup*' -delete")
        state.begin(self.host)
        self.remember()
        state.edit(self.host, random.Random(0), 0)
        self.remember()
        code, output = self.rerun(wanted, "begin")
        assert code == 0, output
        self.remember()
        self.names = set(_watched_names(self.host))

    def remember(self) -> None:
        """The files are whole now: these are contents that a backup may have."""
        for path, contents in self.known.items():
            content = self.host.read(path)
            if content is not None:
                contents.add(content)

    def deploy(self, wanted: Wanted, name: str, deploy: Path) -> Deploy:
        """Start a deploy of this host."""
        host = (self.place[0], {**self.place[1], **wanted.data()})
        return Deploy(self.folder, deploy, host, f"{name}-{wanted.number}")

    def run(self, wanted: Wanted, name: str, deploy: Path) -> tuple[int | None, str]:
        """A deploy to its end."""
        with self.deploy(wanted, name, deploy) as started:
            return started.end(), started.output

    def rerun(self, wanted: Wanted, name: str = "rerun") -> tuple[int | None, str]:
        """What the operator does after a failure, and once more."""
        twice = self.folder / "twice.py"
        twice.write_text(_TWICE)
        return self.run(wanted, name, twice)

    def play(
        self,
        wanted: Wanted,
        kill: Kill,
        chance: random.Random,
        broken: Path | None = None,
        cri_seconds: float = CRI_SECONDS,
    ) -> Played:
        """One round.

        + wanted: what the deploy is for
        + kill: what happens to it
        + chance: decides what else happens
        + broken: a deploy that is wrong on purpose, instead of kubenode's
        + cri_seconds: how long the runtime may be away
        """
        host = self.host
        installs = kill.operation == INSTALLING
        if installs:
            host.target.sh("dpkg --force-depends --force-hold --remove containerd")
        state.edit(host, chance, wanted.number)
        self.remember()
        before = {path: host.file(path) for path in FILES}
        waits = chance.random() < 0.5
        with (
            host.watched(FILES) as seen,
            self.deploy(wanted, "killed", broken or ROOT / "deploy.py") as deploy,
        ):
            killed = kill.strike(host, deploy)
            at_once = {path: host.read(path) for path in FILES}
            code = deploy.end()
            faults = [*self._judge_backups("after the kill")]
            if code is None:
                faults.append("pyinfra does not end")
            # pyinfra's answer to ctrl-C is an end without an error
            if code == 0 and kill.victim != "pyinfra INT":
                if "containerd" in kill.victim:
                    serves(host, cri_seconds)
                faults += _in_vain("pyinfra reports success, and ", host, wanted)
            # half of the time the operator is quicker than what still goes on at the host
            if waits and not installs and not serves(host, cri_seconds):
                faults.append(f"CRI does not serve within {cri_seconds:.0f} s after the kill")
            started = time.monotonic()
            code, output = self.rerun(wanted)
            seconds = time.monotonic() - started
        after = {path: host.file(path) for path in FILES}
        converged = code == 0
        if not converged:
            faults.append(f"the rerun fails with {code}")
        faults += second_time(output)
        faults += _in_vain("after the rerun ", host, wanted)
        for path in FILES:
            seen[path].add(at_once[path])
            end = after[path]
            whole = [before[path]] + ([end] if converged or _is_whole(path, end) else [])
            faults += _half_written(path, seen[path], whole)
        if converged:
            faults += self._lost(before, after)
        self.remember()
        faults += self._judge_backups("after the rerun")
        faults += self.left_behind()
        return Played(killed, faults, deploy.output + output, seconds)

    def _lost(
        self, before: Mapping[str, File | None], after: Mapping[str, File | None]
    ) -> Iterator[str]:
        """What was in containerd's files before the round, and now is in no backup either."""
        kept = {self.host.read(name) for name in self.host.names("/etc/containerd")}
        for path in CONTAINERD_FILES:
            old, new = before[path], after[path]
            if old and new and old.content != new.content and old.content not in kept:
                yield f"what {path} was before is in no backup"

    def _judge_backups(self, when: str) -> Iterator[str]:
        for path, contents in self.known.items():
            folder, _, name = path.rpartition("/")
            for backup in self.host.names(folder):
                if not backup.rpartition("/")[2].startswith(f"{name}.kubenode-backup"):
                    continue
                if _BACKUP.search(backup) and self.host.read(backup) not in contents:
                    yield f"{backup} is nothing that {path} ever was, {when}"

    def left_behind(self) -> Iterator[str]:
        """Files that are there after a deploy and were not before it, and are no backups."""
        for name in sorted(set(_watched_names(self.host)) - self.names):
            if not _BACKUP.search(name):
                yield f"{name} is left behind"


def _watched_names(host: Host) -> Iterator[str]:
    """All files where a deploy writes, and whatever bears its name where programs keep state."""
    for folder in ("/etc", "/root", "/tmp", "/var/tmp", "/home", "/usr/local"):
        yield from host.names(folder)
    for folder in ("/run", "/var/lib", "/var/cache"):
        # a lock's file may stay, as long as it does not block: that the rerun shows
        yield from (n for n in host.names(folder) if "kubenode" in n and "lock" not in n)


def _half_written(path: str, seen: set[bytes | None], moments: list[File | None]) -> Iterator[str]:
    whole = {None if file is None else file.content for file in moments}
    for content in seen - whole:
        size = "absent" if content is None else f"of {len(content)} bytes"
        sizes = ", ".join("absent" if text is None else str(len(text)) for text in whole)
        yield f"{path} was {size}, neither the old one nor the new one ({sizes})"
    owners = {f"{file.owner} {file.mode:o}" for file in moments if file}
    if len(owners) > 1:
        yield f"{path} has another owner or mode than before: {', '.join(sorted(owners))}"


def _is_whole(path: str, file: File | None) -> bool:
    """Whether a file that no finished run has left looks so."""
    if file is None or not file.content.endswith(b"\n"):
        return False
    if path not in CONTAINERD_FILES:
        return True
    try:
        tomllib.loads(file.content.decode())
    except ValueError:
        return False
    return True


def serves(host: Host, seconds: float, socket: str = _CRI_SOCKET) -> bool:
    """Whether the runtime serves CRI within some time.

    + host: the target
    + seconds: how long it is waited for
    + socket: where it does
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            # a client waits long for one that nobody listens for
            with host.target.cri(socket) as cri:
                if host.listens(socket) and cri.conditions()["RuntimeReady"]:
                    return True
        except CriError:
            pass
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)


def settled(host: Host) -> Iterator[str]:
    """Wait until nobody on the host is at a change any more, and say where that does not come."""
    # who ends a change looks once a second whether its shell is there
    time.sleep(1.5)
    script = (
        f"flock -w {_SETTLED_SECONDS} /run/kubenode/lock true && "
        f'timeout {_SETTLED_SECONDS} sh -c \'while pgrep -x "apt-get|dpkg" >/dev/null || '
        'systemctl -q is-active "kubenode-change-*"; do sleep 0.1; done\''
    )
    if host.target.try_sh(script)[0] != 0:
        yield f"the host is at it {_SETTLED_SECONDS} s after the kill"


def second_time(output: str, operations: str = "Node | ") -> Iterator[str]:
    """What a deploy does the second time in one run, though nothing is left to do.

    + output: of the run
    + operations: what their names begin with
    """
    row = rf"^ *({re.escape(operations)}.*?) {{2,}}\d+ +(\S+) +(\S+) +(\S+) *$"
    rows = re.findall(row, output, re.MULTILINE)
    again = rows[len(rows) // 2 :]
    if not rows or [name for name, *_ in again] != [name for name, *_ in rows[: len(again)]]:
        yield f"the rerun has {len(rows)} rows of results, not those of two deploys"
    for name, *counts in again:
        if counts != ["-", "-", "1"]:
            yield f"{name!r} is not done after the rerun: success, error, no change are {counts}"


def _in_vain(words: str, host: Host, wanted: Wanted) -> list[str]:
    """What is not as wanted; a runtime that does not answer too."""
    return [f"{words}{difference}" for difference in _safely(state.differences, host, wanted)]


def _safely(judge: Callable[[Host, Wanted], list[str]], host: Host, wanted: Wanted) -> list[str]:
    try:
        return judge(host, wanted)
    except (AssertionError, OSError, ValueError) as error:
        return [f"cannot be judged: {error!r}"]
