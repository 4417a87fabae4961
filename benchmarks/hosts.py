"""The benchmark's hosts: Docker targets that every subject can work on, and what they say."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from docker import DockerClient
from docker.errors import ImageNotFound

from tests.targets import container, image, pyinfra_cli
from tests.targets.container import Init, Target
from tests.targets.ssh_key import SshKey

T = TypeVar("T")

SUITE = "trixie"

_FIRST_PORT = 22_000
_AT_ONCE = 8

# Ansible needs Python on a host. modprobe wants to find built-in modules in files that the kernels
# of small virtual machines come without.
_SETUP = """
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends python3 python3-apt
rm -rf /var/lib/apt/lists/* /var/lib/apt/periodic/*
# an hour would be young enough for all subjects not to ask the archive
touch -d '2 days ago' /var/lib/apt/lists
modules=/lib/modules/$(uname -r)
if [ ! -e "$modules" ] && mkdir -p "$modules"; then
  printf 'kernel/%s.ko\\n' fs/overlayfs/overlay net/bridge/br_netfilter >"$modules/modules.builtin"
  : >"$modules/modules.order"
  depmod
fi
# what the sessions are counted by
echo 'LogLevel VERBOSE' >/etc/ssh/sshd_config.d/benchmark.conf
"""


class Hosts:
    """Running targets, as the subjects address them."""

    def __init__(self, targets: Sequence[Target], key: SshKey, client: DockerClient) -> None:
        self.targets = list(targets)
        self._key = key
        self._client = client
        self._addresses = each(self.targets, lambda target: target.address)

    def __len__(self) -> int:
        return len(self.targets)

    def inventories(self, folder: Path, ports: Sequence[int] | None = None) -> None:
        """Write ``inventory.py`` for pyinfra and ``inventory.json`` for Ansible.

        + ports: of 127.0.0.1, one for each host, to go through; otherwise the hosts themselves
        """
        folder.mkdir(parents=True, exist_ok=True)
        pyinfra: list[tuple[str, dict[str, Any]]] = []
        ansible: dict[str, dict[str, Any]] = {}
        for index, target in enumerate(self.targets):
            address, port = self._addresses[index], 22
            if ports is not None:
                address, port = "127.0.0.1", ports[index]
            pyinfra.append(
                (
                    target.name,
                    {
                        "ssh_hostname": address,
                        "ssh_port": port,
                        "ssh_user": "root",
                        "ssh_key": str(self._key.private),
                        "ssh_known_hosts_file": "/dev/null",
                        "ssh_strict_host_key_checking": "no",
                    },
                )
            )
            ansible[target.name] = {
                "ansible_host": address,
                "ansible_port": port,
                "ansible_user": "root",
                "ansible_ssh_private_key_file": str(self._key.private),
                "ansible_python_interpreter": "/usr/bin/python3",
            }
        pyinfra_cli.write_inventory(folder / "inventory.py", pyinfra)
        (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": ansible}}))

    @contextmanager
    def delayed(self, milliseconds: float) -> Iterator[Sequence[int]]:
        """Ports that lead to the hosts, with so much delay on every round trip."""
        ports = [_FIRST_PORT + index for index in range(len(self.targets))]
        pairs = [f"{port}={self._addresses[index]}" for index, port in enumerate(ports)]
        command = [sys.executable, "-m", "benchmarks.delay", str(milliseconds), *pairs]
        proxy = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert proxy.stdout is not None
            if proxy.stdout.readline() != "ready\n":
                raise RuntimeError("the delaying proxy did not start")
            yield ports
        finally:
            proxy.kill()
            proxy.wait()

    def counters(self) -> list[Counters]:
        """What every host has done so far."""
        return each(self.targets, self._counters)

    def _counters(self, target: Target) -> Counters:
        stats = self._client.api.stats(target.name, stream=False, one_shot=True)
        networks = stats.get("networks", {}).values()
        return Counters(
            cpu=stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
            bytes=sum(network["rx_bytes"] + network["tx_bytes"] for network in networks),
            sessions=sessions(self._sshd_log(target)),
        )

    def _sshd_log(self, target: Target) -> str:
        if target.init == "systemd":
            return target.sh(
                "journalctl --no-pager --output=cat --identifier=sshd-session"
                " --identifier=sshd --grep='^Starting session' || true"
            )
        log = self._client.api.logs(target.name)
        return log.decode(errors="replace") if isinstance(log, bytes) else str(log)

    def each(self, script: str) -> list[str]:
        """What a shell script prints on each of them."""
        return each(self.targets, lambda target: target.sh(script))


@dataclass(frozen=True)
class Counters:
    """A host's, since it started."""

    cpu: float
    """Seconds."""
    bytes: int
    """Received and sent."""
    sessions: int
    """Commands and file transfers that sshd was asked for."""


def sessions(log: str) -> int:
    """How many sessions a log of sshd's tells of, at the level VERBOSE."""
    return sum(line.startswith("Starting session: ") for line in log.splitlines())


def each(targets: Sequence[Target], function: Callable[[Target], T]) -> list[T]:
    """A function's value for each target, several at a time."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(function, targets))


@contextmanager
def started(client: DockerClient, count: int, init: Init, key: SshKey) -> Iterator[Hosts]:
    """So many fresh hosts, removed at the end."""
    tag = _image(client, key)
    run = uuid.uuid4().hex

    def start(index: int) -> Target:
        name = f"bench-{index:03d}"
        return container.start(
            client, SUITE, role="bench", run=run, name=name, init=init, key=key, tag=tag
        )

    try:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            targets = list(threads.map(start, range(count)))
        yield Hosts(targets, key, client)
    finally:
        each(container.running(client, run=run), lambda target: target.stop())


def _image(client: DockerClient, key: SshKey) -> str:
    """The targets' image with what the other subjects need; built when it is not there."""
    image.ensure(client, [SUITE], print)
    content = f"{image.tag(SUITE)} {platform.release()} {_SETUP}"
    # among the targets' tags, so that whatever removes those removes it
    tag = f"{image.REPOSITORY}:{SUITE}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    try:
        client.images.get(tag)
    except ImageNotFound:
        print(f"building {tag}")
        target = container.start(client, SUITE, role="bench", init="systemd")
        try:
            target.sh(_SETUP)
            repository, _, name = tag.partition(":")
            client.containers.get(target.name).commit(repository=repository, tag=name)
        finally:
            target.stop()
    return tag
