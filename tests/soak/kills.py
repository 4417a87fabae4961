"""Who is killed in the middle of a deploy, and when."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.soak.deploy import Deploy, pause
from tests.soak.host import Host, Process

DAEMONS = ("containerd", "containerd restarts")
"""Victims that are not who makes the change."""

# apt-get and dpkg work for moments
_APPEARS_SECONDS = 20.0
_FILE_SECONDS = 120.0

# seconds that an operation takes on an idle machine, and how often it is chosen
_OPERATIONS = {
    "Node | Can this host be a node?": (0.3, 1),
    "Node | Kernel modules": (0.1, 1),
    "Node | Sysctls": (0.25, 4),
    "Node | containerd is configured": (0.7, 10),
    "Node | containerd serves CRI": (0.2, 1),
}
INSTALLING = "Node | containerd is installed"
_INSTALLING_SECONDS = 5.0
# how many kills come before an exchange has begun
_BEFORE = 0.3


@dataclass(frozen=True)
class Kill:
    """What is done to whom, and when."""

    victim: str
    operation: str
    """The operation that has begun."""
    seconds: float
    """How long after it has."""
    after: str = ""
    """A file that has to be there before these seconds count; none has to."""

    def __str__(self) -> str:
        what = f"{self.after} of {self.operation!r}" if self.after else repr(self.operation)
        return f"{self.victim}, {self.seconds:.3f} s into {what}"

    def strike(self, host: Host, deploy: Deploy) -> bool:
        """Wait for the moment and do it; False when there was nobody left to be killed."""
        if not deploy.until(f"Starting operation: {self.operation}"):
            return False
        strike = _VICTIMS[self.victim]
        if self.after:
            _await(lambda: host.exists(self.after) or not deploy.runs, _FILE_SECONDS)
        appears = _APPEARS_SECONDS if self.victim in ("dpkg", "apt-get") else 1.0
        if appears > 1:
            _await(lambda: _named(host, self.victim) or not deploy.runs, appears)
        pause(self.seconds, deploy)
        struck = False

        def strikes() -> bool:
            nonlocal struck
            struck = strike(host, deploy)
            return struck or not deploy.runs

        _await(strikes, appears)
        return struck


def choose(chance: random.Random, over_ssh: bool, installs: bool) -> Kill:
    """A kill for a round.

    + chance: where the choices come from
    + over_ssh: whether the host is reached by SSH
    + installs: whether the deploy has containerd to install
    """
    victims = ["pyinfra KILL", "pyinfra TERM", "pyinfra INT", "remote shell", "remote process"]
    if over_ssh:
        victims += ["sshd session"] * 2
    if installs:
        victim = chance.choice([*victims, "dpkg", "dpkg", "apt-get", "apt-get"])
        longest = 0.5 if victim in ("dpkg", "apt-get") else _INSTALLING_SECONDS
        return Kill(victim, INSTALLING, chance.uniform(0, longest))
    victim = chance.choice([*victims, *DAEMONS])
    weights = [weight for _, weight in _OPERATIONS.values()]
    operation = chance.choices(list(_OPERATIONS), weights)[0]
    return Kill(victim, operation, chance.uniform(0, _OPERATIONS[operation][0]))


def choose_exchange(
    chance: random.Random,
    over_ssh: bool,
    operation: str,
    packages: bool,
    begun: str,
    seconds: tuple[float, float],
    more: Sequence[str] = (),
) -> Kill:
    """A kill for a round that exchanges the runtime's program.

    + chance: where the choices come from
    + over_ssh: whether the host is reached by SSH
    + operation: its name
    + packages: whether a package comes or goes
    + begun: the file that is there once the exchange has begun to change the host
    + seconds: how long it lasts on an idle machine, until then and from then on
    + more: further victims
    """
    victims = [
        *("pyinfra KILL", "pyinfra TERM", "pyinfra INT", *more),
        *("remote shell", "remote process") * 3,
        *["sshd session"] * (2 if over_ssh else 0),
        *("dpkg", "apt-get") * (3 if packages else 0),
    ]
    victim = chance.choice(victims)
    if chance.random() < _BEFORE:
        return Kill(victim, operation, chance.uniform(0, seconds[0]))
    longest = 1.5 if victim in ("dpkg", "apt-get") else seconds[1]
    return Kill(victim, operation, chance.uniform(0, longest), begun)


def _pyinfra(number: signal.Signals) -> Callable[[Host, Deploy], bool]:
    return lambda host, deploy: deploy.send(number)


def _sshd_session(host: Host, deploy: Deploy) -> bool:
    return _kill_all(_sessions(host))


def _remote_shell(host: Host, deploy: Deploy) -> bool:
    """The shell that was sent, alone: what it has started lives on."""
    shells = _children(host.processes(), {p.pid for p in _roots(host)})
    return _kill_all(shells)


def _remote_process(host: Host, deploy: Deploy) -> bool:
    """What the shell is running: the last of its descendants."""
    processes = host.processes()
    found: list[Process] = []
    level = _children(processes, {process.pid for process in _roots(host)})
    while level:
        found = level
        level = _children(processes, {process.pid for process in level})
    return bool(found) and found[-1].kill()


def _containerd(host: Host, deploy: Deploy) -> bool:
    _forget_starts(host)
    daemons = [p for p in _named(host, "containerd") if "config dump" not in p.command]
    return deploy.runs and _kill_all(daemons)


def _containerd_restarts(host: Host, deploy: Deploy) -> bool:
    _forget_starts(host)
    return deploy.runs and host.target.try_sh("systemctl restart containerd")[0] == 0


def _forget_starts(host: Host) -> None:
    # rounds follow one another faster than systemd lets a unit start (StartLimitBurst=)
    host.target.try_sh("systemctl reset-failed containerd")


def _by_name(name: str) -> Callable[[Host, Deploy], bool]:
    return lambda host, deploy: _kill_all(_named(host, name))


_VICTIMS: dict[str, Callable[[Host, Deploy], bool]] = {
    "pyinfra KILL": _pyinfra(signal.SIGKILL),
    "pyinfra TERM": _pyinfra(signal.SIGTERM),
    "pyinfra INT": _pyinfra(signal.SIGINT),
    "sshd session": _sshd_session,
    "remote shell": _remote_shell,
    "remote process": _remote_process,
    "containerd": _containerd,
    "containerd restarts": _containerd_restarts,
    "dpkg": _by_name("dpkg"),
    "apt-get": _by_name("apt-get"),
}


def _kill_all(processes: list[Process]) -> bool:
    return sum(process.kill() for process in processes) > 0


def _named(host: Host, name: str) -> list[Process]:
    return [process for process in host.processes() if process.name == name]


def _sessions(host: Host) -> list[Process]:
    """Of OpenSSH, before and after its sessions became a program of their own (9.8)."""
    return [p for p in host.processes() if p.name.startswith("sshd") and "@" in p.command]


def _roots(host: Host) -> list[Process]:
    """Whose children are what pyinfra has sent: the SSH sessions, or who runs ``docker exec``."""
    if sessions := _sessions(host):
        return sessions
    inside = host.processes()
    pids = {process.pid for process in inside}
    init = next(process for process in inside if process.command.startswith("/lib/systemd/systemd"))
    outside = {p.parent for p in inside if p.parent not in pids and p.pid != init.pid}
    return [Process(pid, 0, "", "") for pid in outside]


def _children(processes: list[Process], parents: set[int]) -> list[Process]:
    sessions = {p.pid for p in processes if p.name.startswith("sshd")}
    init = {p.pid for p in processes if p.command.startswith("/lib/systemd/systemd")}
    return [p for p in processes if p.parent in parents and p.pid not in sessions | init]


def _await(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
