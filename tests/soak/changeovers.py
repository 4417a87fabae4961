"""Rounds in which a node's runtime is replaced by another one, and whoever does it is killed.

The node has containerd, CRI-O and Docker Engine, and kubelet uses one of them. The judge asks
kubelet, sockets, units and files itself.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kubenode.runtimes import program_change
from tests.soak.deploy import Deploy
from tests.soak.host import Host
from tests.soak.kill_round import Played, second_time, settled
from tests.soak.kills import Kill

OPERATIONS = "Changeover | "
_OPERATION = f"{OPERATIONS}kubelet changes over"
_BEGUN = f"{program_change.DIRECTORY}/back.sh"
_LONGEST_BEFORE, _LONGEST = 2.0, 9.0

_DEPLOY = f"""\
from kubenode.operations import containerd, crio, docker, runtime
from pyinfra import host

by = host.data.by
for number in range(host.data.times):
    {{"containerd": containerd, "crio": crio, "docker": docker}}[by].running(
        name="{OPERATIONS}the new one serves", replace_runtime=True
    )
    runtime.replaced(name="{_OPERATION}", by=by)
"""
SOCKETS = {
    "containerd": "/run/containerd/containerd.sock",
    "crio": "/run/crio/crio.sock",
    "docker": "/run/cri-dockerd.sock",
}
_UNITS = {
    "containerd": ("containerd",),
    "crio": ("crio",),
    # containerd is the engine's too
    "docker": ("containerd", "docker.socket", "docker", "cri-docker.socket", "cri-docker"),
}
_CONFIG = "/var/lib/kubelet/config.yaml"


def choose(chance: random.Random) -> Kill:
    """A kill for a round, mostly once the change has begun."""
    victims = ["pyinfra KILL", "pyinfra TERM", "sshd session"]
    victim = chance.choice([*victims, *["remote shell", "remote process"] * 3])
    if chance.random() < 0.2:
        return Kill(victim, _OPERATION, chance.uniform(0, _LONGEST_BEFORE))
    return Kill(victim, _OPERATION, chance.uniform(0, _LONGEST), _BEGUN)


@dataclass
class Changeovers:
    """A node whose runtime is replaced again and again.

    + place: the host in an inventory, by SSH
    + folder: where inventories and deploys are written
    + now: the runtime that it has
    """

    host: Host
    place: tuple[str, dict[str, str]]
    folder: Path
    now: str = "containerd"

    def play(self, kill: Kill, chance: random.Random) -> Played:
        """One round: to the other runtime, killed, judged, run again, judged."""
        old = self.now
        wanted = chance.choice([name for name in SOCKETS if name != old])
        faults: list[str] = []
        with self._started(wanted, 1, "killed") as deploy:
            killed = kill.strike(self.host, deploy)
            if deploy.end() is None:
                faults.append("pyinfra does not end")
        if chance.random() < 0.7:
            faults += settled(self.host)
            faults += self.judge("after the kill", old, wanted)
        started = time.monotonic()
        with self._started(wanted, 2, "rerun") as again:
            code = again.end()
        seconds = time.monotonic() - started
        if code != 0:
            faults.append(f"the rerun fails with {code}")
        faults += second_time(again.output, OPERATIONS)
        faults += self.judge("after the rerun", wanted)
        self.now = wanted
        return Played(killed, faults, deploy.output + again.output, seconds)

    def _started(self, by: str, times: int, name: str) -> Deploy:
        path = self.folder / "changeover.py"
        path.write_text(_DEPLOY)
        data = {**self.place[1], "by": by, "times": times}
        return Deploy(self.folder, path, (self.place[0], data), name)

    def judge(self, when: str, *allowed: str) -> Iterator[str]:
        """What is wrong with a node whose kubelet should use one of these, the new one last."""
        endpoints = {
            path: re.findall(r"unix://([^\s\"']+)", (self.host.read(path) or b"").decode())
            for path in (_CONFIG, "/etc/crictl.yaml")
        }
        used = next(
            (name for name in allowed if endpoints[_CONFIG] == [SOCKETS[name]]),
            None,
        )
        if used is None:
            yield f"{when} kubelet is told to use {endpoints[_CONFIG]}"
            return
        if set(endpoints["/etc/crictl.yaml"]) != {SOCKETS[used]}:
            yield f"{when} kubelet uses {used}, and crictl {endpoints['/etc/crictl.yaml']}"
        if not self.host.listens(SOCKETS[used]):
            yield f"{when} nobody listens for kubelet at {SOCKETS[used]}"
        health = "kubectl --server=http://127.0.0.1:10248 get --raw /healthz"
        if self.host.target.try_sh(health)[1] != "ok":
            yield f"{when} kubelet is not healthy"
        units = {unit for units in _UNITS.values() for unit in units}
        for unit in sorted(units):
            state = self._state(unit)
            if unit in _UNITS[used]:
                expected = "active enabled"
            elif used == allowed[-1]:
                expected = "inactive disabled"
            else:
                # the new one is there already where kubelet has not changed over
                continue
            if state != expected:
                yield f"{when} kubelet uses {used}, and {unit} is {state}"
        # what was staged goes when the next run stages its own
        staged = " -o -name '.*.kubenode*'" if len(allowed) == 1 else ""
        left = self.host.target.sh(
            f"ls -d {program_change.DIRECTORY} 2>/dev/null; find /etc /var/lib/kubelet "
            f"\\( -name '*-unproven'{staged} \\); "
            "systemctl list-units --plain --no-legend --all 'kubenode-change-*'"
        )
        if left.strip():
            yield f"{when} is left: {left.split()}"

    def _state(self, unit: str) -> str:
        verbs = ("is-active", "is-enabled")
        return " ".join(self.host.target.try_sh(f"systemctl {v} {unit}")[1].strip() for v in verbs)
